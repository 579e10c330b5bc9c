"""A real registry program (distribution), where REGISTRY names one."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from support import eventually
from tapeline.model.oci_image import Image

CONFIG = """
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {root}}}}}
http: {{addr: "127.0.0.1:{port}"{tls}}}
{auth}
"""


@contextmanager
def real_registry(folder: Path, *, tls: tuple[Path, Path] | None = None, htpasswd: Path | None = None) -> Iterator[str]:
    """Run it on a free port; gives host:port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shown = "" if tls is None else f", tls: {{certificate: {tls[0]}, key: {tls[1]}}}"
    auth = "" if htpasswd is None else f"auth: {{htpasswd: {{realm: tapeline, path: {htpasswd}}}}}"
    config = folder / "registry.yml"
    config.write_text(CONFIG.format(root=folder / "registry", port=port, tls=shown, auth=auth))
    process = subprocess.Popen([os.environ["REGISTRY"], "serve", str(config)], stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: listens(port), "the registry listens")
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def upload(address: str, packed: Image) -> None:
    """Push an image with none of our own code."""
    with httpx.Client(base_url=f"http://{address}/v2/tapeline/models/") as client:
        for blob in packed.blobs:
            begun = client.post("blobs/uploads/").raise_for_status()
            where = begun.request.url.join(begun.headers["Location"]).copy_merge_params({"digest": blob.digest})
            client.put(where, content=blob.content).raise_for_status()
        for document in (*packed.manifests, packed.index):
            headers = {"Content-Type": document.media_type}
            client.put(f"manifests/{document.digest}", content=document.content, headers=headers).raise_for_status()

"""Fetches a model image into a folder, for clusters that cannot mount an image as a volume.

    python -m tapeline_inference.fetch REFERENCE TARGET [--registry HOST[:PORT]] [--insecure] [--ca FILE]

Run by an init container. REFERENCE is `<registry>/<repository>@sha256:...`; the digest is verified,
so neither the registry nor the network needs to be trusted. TARGET becomes a folder of models whose `current`
is that bundle, or stays as it was. Exit code 0: the bundle is there and verified; 1: it is not, and the log has the
reason. Registries that need a password need image volumes: the kubelet has the pull secrets, this command has none.
"""

import argparse
import logging
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import httpx
from tapeline.model import oci_image, oci_layer
from tapeline.model.bundle import BundleRefused
from tapeline.model.oci_image import Get, Reference
from tapeline.service import logging as json_logging

_LOG = logging.getLogger(__name__)
TIMEOUT_S: Final = 30.0
"""For connecting and for each read; the whole download may take longer."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch once and return the exit code."""
    parser = argparse.ArgumentParser(prog="tapeline_inference.fetch", description=__doc__.partition("\n")[0])
    parser.add_argument("reference", help="<registry>/<repository>@sha256:<64 hex digits>")
    parser.add_argument("target", type=Path, help="folder of models")
    parser.add_argument("--registry", help="HOST[:PORT] under which the registry is reached from here")
    parser.add_argument("--insecure", action="store_true", help="plain HTTP")
    parser.add_argument("--ca", type=Path, help="PEM file of the registry's certificate authority")
    options = parser.parse_args(arguments)
    json_logging.configure("inference-fetch")
    try:
        reference = Reference.parse(options.reference)
        scheme = "http" if options.insecure else "https"
        base = f"{scheme}://{options.registry or reference.registry}/v2/{reference.repository}/"
        with client(base, options.ca) as connection:
            digest = oci_layer.unpack(oci_image.pull(getter(connection), reference.digest), options.target)
    except (BundleRefused, httpx.HTTPError, OSError) as error:
        _LOG.error(
            f"model fetch failed: {error}", extra={"error": type(error).__name__, "reference": options.reference}
        )
        return 1
    _LOG.info("model fetched", extra={"digest": digest, "reference": str(reference)})
    return 0


def client(base: str, ca: Path | None) -> httpx.Client:
    """Return a client for one repository of a registry; it connects on first use.

    Raises:
        OSError: the file of the certificate authority cannot be read.
    """
    context = ssl.create_default_context(cafile=None if ca is None else str(ca))
    # Registries redirect reads to where the bytes are stored.
    return httpx.Client(base_url=base, verify=context, timeout=TIMEOUT_S, follow_redirects=True)


def getter(connection: httpx.Client) -> Get:
    """Return the function with which `oci_image.pull` requests from this registry."""

    def get(path: str, accept: str, limit: int) -> bytes:
        content = bytearray()
        with connection.stream("GET", path, headers={"Accept": accept, "Accept-Encoding": "identity"}) as response:
            response.raise_for_status()
            for part in response.iter_bytes():
                content += part
                if len(content) > limit:
                    raise BundleRefused("image", f"size of {path}", f"above {limit} bytes", "it must be as announced")
        return bytes(content)

    return get


if __name__ == "__main__":
    sys.exit(main())

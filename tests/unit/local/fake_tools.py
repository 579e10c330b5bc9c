"""Fakes of docker, kind, kubectl and helm: they log their calls and respond from a table."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tapeline_local import paths

GIB = 2**30
FIRST_MODEL = f"localhost:5001/tapeline/models@sha256:{'a' * 64}"
# A shell script, because a whole `kind-up` calls some thirty of them. Fields end with \037, parts with \036, calls
# with \035: none of them is in a command.
PROGRAM = r"""#!/bin/sh
called="${{0##*/}} $*"
{{
  printf '%s\037' "${{0##*/}}" "$@"
  printf '\036'
  case " $* " in *" - "* | *" /dev/stdin "*) /bin/cat ;; esac
  printf '\036%s\037%s\035' "${{EXTRA_CA-}}" "${{DOCKER_BUILDKIT-}}"
}} >> '{log}'
while IFS='	' read -r words code text; do
  case "$called" in "$words"*) printf '%b\n' "$text"; exit "$code" ;; esac
done < '{table}'
"""


@dataclass
class Tools:
    """A folder of fake programs.

    Attributes:
        folder: to be the whole PATH.
        table: (exit code, output) by the start of the command line; any other call exits with 0 and no output.
    """

    folder: Path
    table: dict[str, tuple[int, str]]

    def put(self, *names: str) -> None:
        """Create the fakes of those names."""
        self.folder.mkdir(exist_ok=True)
        for name in names:
            file = self.folder / name
            text = PROGRAM.format(log=self._log, table=self._table)
            file.write_text(text)
            file.chmod(0o755)

    @property
    def _log(self) -> Path:
        return self.folder / "calls"

    @property
    def _table(self) -> Path:
        return self.folder / "table"

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run `python -m tapeline_local.cluster` with no other program on the PATH."""
        lines = [f"{words}\t{code}\t{text}\n" for words, (code, text) in self.table.items()]
        self._table.write_text("".join(lines))
        command = [sys.executable, "-m", "tapeline_local.cluster", *arguments]
        home = str(paths.CHECKOUT / "local")
        environment = {"PATH": str(self.folder), "PYTHONPATH": home, "HOME": str(self.folder), **variables}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    def entries(self) -> list[tuple[list[str], str, dict[str, str]]]:
        """Return (command, stdin, environment) of every call."""
        records = self._log.read_text().split("\035")[:-1] if self._log.exists() else []
        return [self._entry(record) for record in records]

    @staticmethod
    def _entry(record: str) -> tuple[list[str], str, dict[str, str]]:
        command, stdin, environment = record.split("\036")
        authority, builder = environment.split("\037")
        return command.split("\037")[:-1], stdin, {"EXTRA_CA": authority, "DOCKER_BUILDKIT": builder}

    def calls(self) -> list[str]:
        """Return every call as one line."""
        return [" ".join(command) for command, _, _ in self.entries()]


class _OkHandler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def registry() -> Iterator[str]:
    """Respond like a registry; yields its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _OkHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"localhost:{server.server_port}"
        server.shutdown()


def info(memory_gib: float, cgroup: int = 2) -> tuple[int, str]:
    """Return the output of `docker info` on a machine of that size."""
    return 0, json.dumps({"MemTotal": int(memory_gib * GIB) + 1, "CgroupVersion": str(cgroup), "ServerVersion": "28"})


def image(digest: str = "registry/x@sha256:1") -> tuple[int, str]:
    """Return the output of `docker image inspect` for an existing image."""
    return 0, json.dumps({"id": "sha256:0", "size_bytes": 2**20, "digests": [digest] if digest else []})


def fresh(folder: Path) -> Tools:
    """Return fakes of a suitable machine on which nothing of ours exists."""
    table = {
        "docker info": info(32),
        "docker inspect": (1, ""),
        "docker image inspect": image(),
        "kind get clusters": (0, ""),
        "kind get nodes": (0, "tapeline-control-plane"),
        "kind version": (0, "kind v0.33.0 go1.26.0 linux/amd64"),
        "helm show crds": (0, "kind: CustomResourceDefinition"),
        "docker run --rm": (0, FIRST_MODEL),
        "kubectl --context kind-tapeline --namespace tapeline get configmap": (1, ""),
    }
    tools = Tools(folder, table)
    tools.put("docker", "kind", "kubectl", "helm")
    return tools

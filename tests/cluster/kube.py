"""Runs kubectl and helm against the cluster that KUBECONFIG names."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools" / "bin"


@dataclass(frozen=True)
class CommandResult:
    """Result of a program.

    Attributes:
        code: exit code.
        out: standard output.
        err: standard error; kubectl writes the warnings of the API server to it.
    """

    code: int
    out: str
    err: str

    @property
    def warnings(self) -> list[str]:
        """Warnings of the API server."""
        return [line for line in self.err.splitlines() if line.startswith("Warning:")]


def program(name: str) -> str | None:
    """Return the path of a program: of .tools first, then of the PATH."""
    ours = TOOLS / name
    return str(ours) if ours.exists() else shutil.which(name)


def run(name: str, *arguments: str, stdin: str | None = None, timeout_s: float = 300.0) -> CommandResult:
    """Run a program and return its result, whatever its exit code."""
    path = program(name)
    assert path, f"{name} is missing: run `make setup`"
    done = subprocess.run(
        [path, *arguments],
        input=stdin,
        env=os.environ | {"HELM_CACHE_HOME": str(ROOT / ".tools" / "helm")},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    return CommandResult(done.returncode, done.stdout, done.stderr)


def kubectl(*arguments: str, stdin: str | None = None, timeout_s: float = 300.0) -> str:
    """Run kubectl and return its output; a failure fails the test with its output."""
    result = run("kubectl", *arguments, stdin=stdin, timeout_s=timeout_s)
    assert result.code == 0, f"kubectl {' '.join(arguments)}: {result.out[-2000:]}{result.err[-3000:]}"
    return result.out


def helm(*arguments: str, timeout_s: float = 300.0) -> str:
    """Run helm and return its output; a failure fails the test with its output."""
    result = run("helm", *arguments, timeout_s=timeout_s)
    assert result.code == 0, f"helm {' '.join(arguments)}: {result.out[-2000:]}{result.err[-3000:]}"
    return result.out


def apply(documents: Iterable[dict[str, Any]], *arguments: str) -> CommandResult:
    """Apply documents on the server, strictly: an unknown field is an error."""
    text = yaml.safe_dump_all(list(documents))
    fixed = ("apply", "--server-side", "--force-conflicts", "--validate=strict", "-f", "-")
    return run("kubectl", *fixed, *arguments, stdin=text)


def get(kind: str, name: str, namespace: str) -> dict[str, Any]:
    """Return an object."""
    found: dict[str, Any] = json.loads(kubectl("-n", namespace, "get", kind, name, "-o", "json"))
    return found


def items(kind: str, namespace: str, selector: str = "") -> list[dict[str, Any]]:
    """Return the objects of a kind, oldest first."""
    wanted = ("-l", selector) if selector else ()
    found = json.loads(kubectl("-n", namespace, "get", kind, *wanted, "-o", "json"))["items"]
    return sorted(found, key=lambda item: item["metadata"]["creationTimestamp"])

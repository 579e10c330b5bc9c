"""kubectl and helm as tests use them: real programs against the cluster that KUBECONFIG names."""

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
class Answer:
    """What a program said.

    Attributes:
        code: exit code.
        out: standard output.
        err: standard error; kubectl writes the API server's warnings here.
    """

    code: int
    out: str
    err: str

    @property
    def warnings(self) -> list[str]:
        """Warnings of the API server."""
        return [line for line in self.err.splitlines() if line.startswith("Warning:")]


def program(name: str) -> str | None:
    """Return the path of a program: ours first, then the machine's."""
    ours = TOOLS / name
    return str(ours) if ours.exists() else shutil.which(name)


def run(name: str, *arguments: str, stdin: str | None = None, timeout_s: float = 300.0) -> Answer:
    """Run a program and return what it said, whatever its exit code."""
    path = program(name)
    assert path, f"{name} is not there: run `make setup`"
    done = subprocess.run(
        [path, *arguments],
        input=stdin,
        env=os.environ | {"HELM_CACHE_HOME": str(ROOT / ".tools" / "helm")},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def kubectl(*arguments: str, stdin: str | None = None, timeout_s: float = 300.0) -> str:
    """Run kubectl and return its output; its failure fails the test with what it said."""
    answer = run("kubectl", *arguments, stdin=stdin, timeout_s=timeout_s)
    assert answer.code == 0, f"kubectl {' '.join(arguments)}: {answer.out[-2000:]}{answer.err[-3000:]}"
    return answer.out


def helm(*arguments: str, timeout_s: float = 300.0) -> str:
    """Run helm and return its output; its failure fails the test with what it said."""
    answer = run("helm", *arguments, timeout_s=timeout_s)
    assert answer.code == 0, f"helm {' '.join(arguments)}: {answer.out[-2000:]}{answer.err[-3000:]}"
    return answer.out


def apply(documents: Iterable[dict[str, Any]], *arguments: str) -> Answer:
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

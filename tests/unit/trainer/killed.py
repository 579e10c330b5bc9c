"""The trainer as a process that can be killed at any moment, without the seconds that its imports take each time.

One process imports everything and then forks a child for each run that is asked for; the child is the trainer.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NURSERY = """
import json, os, sys
from kubernetes.client import ApiClient, AppsV1Api, Configuration
from tapeline_trainer import __main__
from tapeline_trainer.rollout import kubernetes
from urllib3.exceptions import HTTPError

# The first call builds the client's models, which takes longer than a whole roll-out here.
nowhere = Configuration(host="http://127.0.0.1:9", retries=False)
with ApiClient(nowhere) as client:
    apps = AppsV1Api(client)
    for call in (
        lambda: apps.read_namespaced_deployment("d", "n"),
        lambda: apps.patch_namespaced_deployment("d", "n", []),
        lambda: apps.list_namespaced_replica_set("n"),
    ):
        try:
            call()
        except HTTPError:
            pass

for line in sys.stdin:
    asked = json.loads(line)
    sys.stdout.write("ready\\n")
    sys.stdout.flush()
    child = os.fork()
    if not child:
        os.environ.update(asked["environment"])
        os.dup2(os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
        code = 1
        try:
            code = __main__.main(asked["arguments"])
        except SystemExit as left:
            code = left.code
        finally:
            sys.stdout.flush()
            os._exit(code)
    sys.stdout.write(f"{child}\\n")
    sys.stdout.flush()
    _, status = os.waitpid(child, 0)
    sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\\n")
    sys.stdout.flush()
"""


class Nursery:
    """Starts trainers, one at a time.

    Attributes:
        child: process id of the one that runs, or ran last.
    """

    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self._process, self.log, self.child = process, log, 0

    def run(self, arguments: list[str], environment: dict[str, str]) -> int:
        """Return its exit code, negative where a signal ended it."""
        asked = {"arguments": arguments, "environment": environment, "log": str(self.log)}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "ready\n"
        self.child = int(self._process.stdout.readline())
        return int(self._process.stdout.readline())

    def said(self) -> dict[str, object]:
        return json.loads(self.log.read_text().splitlines()[-1])


@contextmanager
def nursery(folder: Path) -> Iterator[Nursery]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TRAINER_")}
    command = [sys.executable, "-c", NURSERY]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=clean, cwd=folder
    ) as process:
        yield Nursery(process, folder / "trainer.log")
        process.stdin.close()

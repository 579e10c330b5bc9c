"""Fork server: starts trainer processes that tests can kill, without the seconds of imports of each process.

One process imports everything and forks a child for each requested run; the child is the trainer.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FORK_SERVER = """
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
    request = json.loads(line)
    sys.stdout.write("ready\\n")
    sys.stdout.flush()
    child = os.fork()
    if not child:
        os.environ.update(request["environment"])
        os.dup2(os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
        code = 1
        try:
            code = __main__.main(request["arguments"])
        except SystemExit as exited:
            code = exited.code
        finally:
            sys.stdout.flush()
            os._exit(code)
    sys.stdout.write(f"{child}\\n")
    sys.stdout.flush()
    _, status = os.waitpid(child, 0)
    sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\\n")
    sys.stdout.flush()
"""


class ForkServer:
    """Starts trainers, one at a time.

    Attributes:
        child: process id of the one that runs, or ran last.
    """

    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self._process, self.log, self.child = process, log, 0

    def run(self, arguments: list[str], environment: dict[str, str]) -> int:
        """Return its exit code, negative where a signal ended it."""
        request = {"arguments": arguments, "environment": environment, "log": str(self.log)}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "ready\n"
        self.child = int(self._process.stdout.readline())
        return int(self._process.stdout.readline())

    def last_log(self) -> dict[str, Any]:
        return json.loads(self.log.read_text().splitlines()[-1])


@contextmanager
def fork_server(folder: Path) -> Iterator[ForkServer]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TRAINER_")}
    command = [sys.executable, "-W", "error", "-c", FORK_SERVER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=clean, cwd=folder
    ) as process:
        yield ForkServer(process, folder / "trainer.log")
        process.stdin.close()

"""Runs the trainer as a process beside the stack once enough trades are stored."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tapeline_local import settings
from tapeline_local.stack import processes

TOO_LITTLE_DATA = 3
_NICENESS = 10


class TrainerRun:
    """At most one trainer process at a time; retries with more trades when there were too few."""

    def __init__(self, state: Path, elasticsearch_url: str, train_after: int) -> None:
        """Prepare a run; no process is started.

        Args:
            state: folder of the stack.
            elasticsearch_url: of the stored trades.
            train_after: number of stored trades that starts the first run.
        """
        self._state, self._url, self._min_trades = state, elasticsearch_url, train_after
        self._process: subprocess.Popen[bytes] | None = None
        self.output = state / "training"
        self.report: dict[str, Any] | None = None
        self.done = False

    def advance(self, indexed: int | None) -> str | None:
        """Start the trainer or check on it; return a line about what changed, None if nothing did."""
        if self.done or indexed is None:
            return None
        if self._process is None:
            if indexed < self._min_trades:
                return None
            self._process = self._start()
            return f"trainer started with {indexed:,} trades"
        code = self._process.poll()
        if code is None:
            return None
        self._process = None
        if code == TOO_LITTLE_DATA:
            self._min_trades = int(indexed * 1.5)
            return f"trainer: too little data; retrying at {self._min_trades:,} trades"
        self.done = True
        if code != 0:
            return f"trainer failed with exit code {code}: see {self._log}"
        self.report = json.loads((self.output / "report.json").read_text(encoding="utf-8"))
        kind = "the forest" if self.report["promoted"] else "not the forest"
        return f"trainer done, promoted: {kind} ({self.output / 'report.md'})"

    def stop(self) -> None:
        """Terminate a running trainer; the served model does not change."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    @property
    def _log(self) -> Path:
        return self._state / "logs" / "trainer.log"

    def _start(self) -> subprocess.Popen[bytes]:
        env = settings.inherited_environment() | {
            processes.STACK_VARIABLE: str(self._state),
            "TRAINER_ELASTICSEARCH_URL": self._url,
            "TRAINER_MODELS": str(self._state / "models"),
            "TRAINER_OUTPUT": str(self.output),
        }
        command = ["nice", "-n", str(_NICENESS), sys.executable, "-m", "tapeline_trainer"]
        with self._log.open("ab") as log:
            return subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT, cwd=self._state)

"""Runs the trainer once, beside the stack, when enough trades are stored."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tapeline_local import settings
from tapeline_local.stack import processes

TOO_LITTLE_DATA = 3
_LESS_EAGER = 10


class Schooling:
    """One trainer process at a time; tries again with more trades when there were too few."""

    def __init__(self, state: Path, elasticsearch_url: str, train_after: int) -> None:
        """Wait for trades.

        Args:
            state: folder of the stack.
            elasticsearch_url: where the trades are.
            train_after: stored trades that start the first run.
        """
        self._state, self._url, self._wanted = state, elasticsearch_url, train_after
        self._process: subprocess.Popen[bytes] | None = None
        self.output = state / "training"
        self.report: dict[str, Any] | None = None
        self.done = False

    def turn(self, indexed: int | None) -> str | None:
        """Start or look after the trainer; return what happened, if anything did."""
        if self.done or indexed is None:
            return None
        if self._process is None:
            if indexed < self._wanted:
                return None
            self._process = self._start()
            return f"trainer started with {indexed:,} trades"
        code = self._process.poll()
        if code is None:
            return None
        self._process = None
        if code == TOO_LITTLE_DATA:
            self._wanted = int(indexed * 1.5)
            return f"trainer: too little data yet, tries again at {self._wanted:,} trades"
        self.done = True
        if code != 0:
            return f"trainer failed with exit code {code}: see {self._log}"
        self.report = json.loads((self.output / "report.json").read_text(encoding="utf-8"))
        kind = "the forest" if self.report["promoted"] else "not the forest"
        return f"trainer done, promoted: {kind} ({self.output / 'report.md'})"

    def stop(self) -> None:
        """End a run that is still going; what is served does not change by that."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    @property
    def _log(self) -> Path:
        return self._state / "logs" / "trainer.log"

    def _start(self) -> subprocess.Popen[bytes]:
        env = settings.inherited() | {
            processes.STACK_VARIABLE: str(self._state),
            "TRAINER_ELASTICSEARCH_URL": self._url,
            "TRAINER_MODELS": str(self._state / "models"),
            "TRAINER_OUTPUT": str(self.output),
        }
        command = ["nice", "-n", str(_LESS_EAGER), sys.executable, "-m", "tapeline_trainer"]
        with self._log.open("ab") as log:
            return subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT, cwd=self._state)

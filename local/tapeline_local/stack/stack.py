"""A whole stack, or any parts of it, on one machine: up, down, and what a test wants to do to it.

    with Stack(state, ("kafka", "elasticsearch"), StackOptions(fast_jit=True)) as stack:
        stack.addresses.kafka

The processes belong to a supervisord of their own; this class configures it, asks it, and checks what it says
against what the parts answer. For parts and their settings see options.py and parts.py.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tapeline_local import poll, settings
from tapeline_local.errors import NotReady, NotRunning, PartDied, StackError, StackInUse
from tapeline_local.stack import probes, processes, reports, supervision
from tapeline_local.stack.lock import StateLock
from tapeline_local.stack.options import (
    PARTS,
    StackOptions,
    in_start_order,
    needed_first,
    start_timeout_s,
    wanted,
)
from tapeline_local.stack.reports import Addresses, PartStatus, status_of
from tapeline_local.stack.state import Saved, StateFolder

__all__ = ["Addresses", "PartStatus", "Stack"]

Progress = Callable[[str], None]
_TAIL_LINES = 15
_SUPERVISORD_START_S = 20.0
# Signals after which a process is another one when it answers again.
_DEADLY_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGABRT, signal.SIGSEGV)


def _ignore(_: str) -> None:
    return


class Stack:
    """Parts that run together on one state folder."""

    def __init__(self, state: Path, parts: tuple[str, ...] = PARTS, options: StackOptions | None = None) -> None:
        """Describe a stack; nothing is started or written.

        Args:
            state: folder of everything the stack keeps; made when it does not exist.
            parts: which parts; those that the options leave without work are left out.
            options: choices, the defaults of the demo otherwise.
        """
        self.options = options or StackOptions()
        chosen = in_start_order(parts, self.options.producers)
        self.parts = wanted(chosen, self.options)
        self.state = StateFolder(state)
        self._process: subprocess.Popen[bytes] | None = None
        self._killed: dict[str, int] = {}
        self._seen_bytes = 0

    @classmethod
    def load(cls, state: Path) -> "Stack":
        """Return the stack that runs on a folder, started by whomever.

        Raises:
            NotRunning: none does.
        """
        folder = StateFolder(state)
        saved = folder.saved()
        if saved is None or StateLock(folder.lock).holder() is None:
            raise NotRunning(folder.root)
        return cls(state, saved.parts, saved.options)

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    @property
    def addresses(self) -> Addresses:
        """Return where the parts listen.

        Raises:
            NotRunning: the stack has not been started.
        """
        return Addresses.of(self._saved().ports)

    def exposed(self) -> tuple[str, str]:
        """Return Kafka's bootstrap and Elasticsearch's URL at the exposed address, see `reports.exposed`."""
        return reports.exposed(self._saved())

    def owner(self) -> int | None:
        """Return the process id of the supervisord on this folder, None if the stack is down."""
        return StateLock(self.state.lock).holder()

    def up(self, progress: Progress = _ignore, background: bool = False) -> None:
        """Start everything and return when every part is ready.

        Args:
            progress: gets one line for each thing that happened.
            background: keep running when this process ends; otherwise everything stops with it, however it ends.

        Raises:
            StackInUse: a stack runs on this folder already.
            NotSetUp: `make setup` is needed.
            PartDied: a part ended while starting.
            NotReady: a part runs but does not answer in time.
        """
        holder = self.owner()
        if holder is not None:
            raise StackInUse(self.state.root, holder or None)
        for leftover in processes.sweep(str(self.state.root)):
            progress(f"ended a leftover of an earlier run: {leftover}")
        saved = self.state.prepare(self.parts, self.options)
        if not self.state.elasticsearch.is_relative_to(self.state.root):
            progress(
                f"elasticsearch keeps its data in {self.state.elasticsearch}: its user cannot enter {self.state.root}"
            )
        try:
            self._start_supervisord(background)
            self._start_parts(saved, progress)
        except BaseException:
            self.down()
            raise

    def _start_supervisord(self, background: bool) -> None:
        command = [sys.executable, "-m", "tapeline_local.stack.supervisord", str(self.state.configuration)]
        command += [str(self.state.lock), *([] if background else ["--tethered"])]
        log = self.state.run / "supervisord.out"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                cwd=self.state.root,
                env={**settings.inherited(), processes.STACK_VARIABLE: str(self.state.root)},
                stdin=subprocess.DEVNULL if background else subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._seen_bytes = 0
        for _ in poll.turns(_SUPERVISORD_START_S):
            if self._process.poll() is not None:
                break
            with contextlib.suppress(NotRunning):
                self._call("getState")
                return
        tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise StackError(f"supervisord did not start (exit code {self._process.poll()}); it said: {tail or 'nothing'}")

    def _start_parts(self, saved: Saved, progress: Progress) -> None:
        started: dict[str, float] = {}
        ready: set[str] = set()
        offset = 0
        while len(ready) < len(self.parts):
            for part in self.parts:
                if part not in started and ready.issuperset(needed_first(part, self.parts)):
                    self._call("startProcess", part, False)
                    started[part] = time.monotonic()
            events, offset = supervision.read_events(self.state.events, offset)
            self._raise_if_died(events)
            for part in [name for name in started if name not in ready]:
                passed = time.monotonic() - started[part]
                lacks = probes.waiting_for(part, saved.ports)
                if lacks is None:
                    if part == "kafka":
                        probes.create_topics(saved.ports, self.options.partitions)
                    ready.add(part)
                    progress(f"{part} ready after {passed:.1f} s")
                elif passed > start_timeout_s(part):
                    raise NotReady(part, passed, lacks, self.log_tail(part))
            poll.pause()

    def _raise_if_died(self, events: list[supervision.Event]) -> None:
        for event in events:
            if event.kind in ("died", "gave up"):
                raise PartDied(event.part, event.detail, self.log_tail(event.part))

    def down(self, progress: Progress = _ignore) -> None:
        """Stop everything in order, then end whatever is left; does nothing if nothing runs."""
        holder = self.owner()
        if holder:
            with contextlib.suppress(ProcessLookupError):
                os.kill(holder, signal.SIGTERM)
            patience_s = sum(supervision.care_of(part).stop_s for part in self.parts) + 10.0
            if not poll.eventually(lambda: self.owner() is None, patience_s):
                progress(f"supervisord ({holder}) did not stop within {patience_s:.0f} s and is killed")
                with contextlib.suppress(ProcessLookupError):
                    os.kill(holder, signal.SIGKILL)
        if self._process is not None:
            if self._process.stdin:
                self._process.stdin.close()
            self._process.wait()
            self._process = None
        for leftover in processes.sweep(str(self.state.root)):
            progress(f"ended a leftover: {leftover}")
        self.state.forget_run()

    def remove(self) -> None:
        """Stop everything and delete all data of the stack."""
        self.down()
        self.state.remove()

    def status(self) -> list[PartStatus]:
        """Return how each part is.

        Raises:
            NotRunning: the stack is down.
        """
        saved = self._saved()
        events, _ = supervision.read_events(self.state.events, 0)
        infos = {info["name"]: info for info in self._call("getAllProcessInfo")}
        return [status_of(part, infos[part], events, saved.ports) for part in saved.parts]

    def pid(self, part: str) -> int:
        """Return the process id of a part.

        Raises:
            NotRunning: the stack is down.
            PartDied: the part does not run at this moment.
        """
        info = self._call("getProcessInfo", part)
        if not info["pid"]:
            raise PartDied(part, info["statename"], self.log_tail(part))
        return int(info["pid"])

    def kill(self, part: str, signal_number: int = signal.SIGKILL) -> int:
        """Send a signal to all processes of a part, behind supervisord's back; return the first one's id.

        After a deadly signal supervisord starts the part again, and `wait_ready` waits for that new one.
        """
        pid = self.pid(part)
        processes.signal_group(pid, signal_number)
        if signal_number in _DEADLY_SIGNALS:
            self._killed[part] = pid
        return pid

    def stop(self, part: str) -> None:
        """Stop a part in order and leave it stopped."""
        with contextlib.suppress(xmlrpc.client.Fault):  # it does not run
            self._call("stopProcess", part)

    def start(self, part: str, env: dict[str, str] | None = None) -> None:
        """Start a stopped part without waiting for it.

        Args:
            part: which.
            env: environment variables for this start and those after it, on top of the stack's.
        """
        if env is not None:
            self.state.relaunch(part, self._saved(), env)
        self._call("startProcess", part, False)

    def wait_ready(self, part: str, timeout_s: float | None = None) -> float:
        """Wait until a part is ready, over restarts; return how many seconds it took.

        Raises:
            PartDied: supervisord has given it up, or it is stopped.
            NotReady: it was not ready in time.
        """
        limit_s = start_timeout_s(part) if timeout_s is None else timeout_s
        numbers, lacks = self._saved().ports, "nothing yet"
        for passed in poll.turns(limit_s):
            info = self._call("getProcessInfo", part)
            if info["statename"] not in (*supervision.ALIVE, "EXITED"):
                raise PartDied(part, info["statename"], self.log_tail(part))
            if info["pid"] and info["pid"] != self._killed.get(part):
                answer = probes.waiting_for(part, numbers)
                if answer is None:
                    return passed
                lacks = answer
        raise NotReady(part, limit_s, lacks, self.log_tail(part))

    def log_tail(self, part: str, lines: int = _TAIL_LINES) -> str:
        """Return the last lines of a part's log."""
        return self.state.log_tail(part, lines)

    def watch(self) -> list[supervision.Event]:
        """Return what happened to the parts since the last call, oldest first; after `up`, since the start."""
        events, self._seen_bytes = supervision.read_events(self.state.events, self._seen_bytes)
        return events

    def _saved(self) -> Saved:
        saved = self.state.saved()
        if saved is None:
            raise NotRunning(self.state.root)
        return saved

    def _call(self, method: str, *arguments: object) -> Any:
        try:
            return supervision.call(self._saved().socket, method, *arguments)
        except OSError as error:
            raise NotRunning(self.state.root) from error

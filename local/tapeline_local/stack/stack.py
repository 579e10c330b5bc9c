"""Starts, stops and controls a whole stack, or any parts of it, on one machine.

    with Stack(state, ("kafka", "elasticsearch"), StackOptions(fast_jit=True)) as stack:
        stack.addresses.kafka

Each stack has its own supervisord. This class configures supervisord, queries it, and probes the parts.
For parts and their settings see options.py and parts.py.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Callable, Collection
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
    dependencies_of,
    enabled_parts,
    in_start_order,
    start_timeout_s,
)
from tapeline_local.stack.reports import Addresses, PartStatus, part_status
from tapeline_local.stack.state import SavedStack, StateFolder

__all__ = ["Addresses", "PartStatus", "Stack"]

Progress = Callable[[str], None]
_TAIL_LINES = 15
_SUPERVISORD_START_S = 20.0
# Signals after which supervisord starts a new process.
_DEADLY_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGABRT, signal.SIGSEGV)


def _ignore(_: str) -> None:
    return


class Stack:
    """Parts that run together on one state folder."""

    def __init__(self, state: Path, parts: tuple[str, ...] = PARTS, options: StackOptions | None = None) -> None:
        """Describe a stack; nothing is started or written.

        Args:
            state: state folder; created if it does not exist.
            parts: to run; parts that the options disable are left out.
            options: of the stack; None: the defaults.
        """
        self.options = options or StackOptions()
        chosen = in_start_order(parts, self.options.producers)
        self.parts = enabled_parts(chosen, self.options)
        self.state = StateFolder(state)
        self._process: subprocess.Popen[bytes] | None = None
        self._killed: dict[str, int] = {}
        self._seen_bytes = 0

    @classmethod
    def load(cls, state: Path) -> "Stack":
        """Return the stack that runs on a folder, whichever process started it.

        Raises:
            NotRunning: no stack runs on the folder.
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
        """Return the addresses of the parts.

        Raises:
            NotRunning: the stack has not been started.
        """
        return Addresses.from_ports(self._saved().ports)

    def exposed(self) -> tuple[str, str]:
        """Return Kafka's bootstrap and Elasticsearch's URL at the exposed address, see `reports.exposed`."""
        return reports.exposed(self._saved())

    def owner(self) -> int | None:
        """Return the process id of the supervisord on this folder, None if the stack is down."""
        return StateLock(self.state.lock).holder()

    def up(self, progress: Progress = _ignore, background: bool = False, except_for: Collection[str] = ()) -> None:
        """Start everything and return when every part is ready.

        Args:
            progress: takes one line an event.
            background: keep running when this process ends; else all parts stop with this process, however it ends.
            except_for: parts that `start` will start later.

        Raises:
            StackInUse: a stack runs on this folder already.
            OutdatedState: the folder has another format.
            NotSetUp: `make setup` is needed.
            PartDied: a part ended while starting.
            NotReady: a part runs but is not ready before its timeout.
        """
        holder = self.owner()
        if holder is not None:
            raise StackInUse(self.state.root, holder or None)
        self.state.require_format()
        for leftover in processes.kill_marked(str(self.state.root)):
            progress(f"killed a leftover process of an earlier run: {leftover}")
        saved = self.state.prepare(self.parts, self.options)
        if not self.state.elasticsearch.is_relative_to(self.state.root):
            progress(
                f"elasticsearch keeps its data in {self.state.elasticsearch}: its user cannot enter {self.state.root}"
            )
        try:
            self._start_supervisord(background)
            self._start_parts(saved, tuple(part for part in self.parts if part not in except_for), progress)
        except StackInUse:  # another process took the lock since; its stack is not ours to stop
            raise
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
                env={**settings.inherited_environment(), processes.STACK_VARIABLE: str(self.state.root)},
                stdin=subprocess.DEVNULL if background else subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._seen_bytes = 0
        for _ in poll.attempts(_SUPERVISORD_START_S):
            if self._process.poll() == supervision.LOCKED_EXIT_CODE:
                raise StackInUse(self.state.root, self.owner())
            if self._process.poll() is not None:
                break
            with contextlib.suppress(NotRunning):
                self._call("getState")
                return
        tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise StackError(f"supervisord did not start (exit code {self._process.poll()}); its output: {tail or 'none'}")

    def _start_parts(self, saved: SavedStack, chosen: tuple[str, ...], progress: Progress) -> None:
        started: dict[str, float] = {}
        ready: set[str] = set()
        offset = 0
        if "kafka" in self.options.existing:
            probes.create_topics(saved.ports, self.options.partitions)
        while len(ready) < len(chosen):
            for part in chosen:
                if part not in started and ready.issuperset(dependencies_of(part, chosen)):
                    self._call("startProcess", part, False)
                    started[part] = time.monotonic()
            events, offset = supervision.read_events(self.state.events, offset)
            self._raise_if_died(events)
            for part in [name for name in started if name not in ready]:
                elapsed = time.monotonic() - started[part]
                reason = probes.not_ready_reason(part, saved.ports)
                if reason is None:
                    if part == "kafka":
                        probes.create_topics(saved.ports, self.options.partitions)
                    ready.add(part)
                    progress(f"{part} ready after {elapsed:.1f} s")
                elif elapsed > start_timeout_s(part):
                    raise NotReady(part, elapsed, reason, self.log_tail(part))
            poll.pause()

    def _raise_if_died(self, events: list[supervision.Event]) -> None:
        for event in events:
            if event.kind in ("died", "gave up"):
                raise PartDied(event.part, event.detail, self.log_tail(event.part))

    def down(self, progress: Progress = _ignore) -> None:
        """Stop all parts in order, then kill leftover processes; does nothing if the stack is down."""
        holder = self.owner()
        if holder:
            with contextlib.suppress(ProcessLookupError):
                os.kill(holder, signal.SIGTERM)
            timeout_s = sum(supervision.restart_policy(part).stop_s for part in self.parts) + 10.0
            if not poll.eventually(lambda: self.owner() is None, timeout_s):
                progress(f"supervisord ({holder}) did not stop within {timeout_s:.0f} s and is killed")
                with contextlib.suppress(ProcessLookupError):
                    os.kill(holder, signal.SIGKILL)
        if self._process is not None:
            if self._process.stdin:
                self._process.stdin.close()
            self._process.wait()
            self._process = None
        for leftover in processes.kill_marked(str(self.state.root)):
            progress(f"killed a leftover process: {leftover}")
        self.state.clear_run_files()

    def remove(self) -> None:
        """Stop the stack and delete all its data."""
        self.down()
        self.state.remove()

    def status(self) -> list[PartStatus]:
        """Return the status of each part.

        Raises:
            NotRunning: the stack is down.
        """
        saved = self._saved()
        events, _ = supervision.read_events(self.state.events, 0)
        infos = {info["name"]: info for info in self._call("getAllProcessInfo")}
        return [part_status(part, infos[part], events, saved.ports) for part in saved.parts]

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
        """Send a signal to all processes of a part, bypassing supervisord; return the id of the first process.

        After a deadly signal supervisord restarts the part, and `wait_ready` waits for the new process.
        """
        pid = self.pid(part)
        processes.signal_group(pid, signal_number)
        if signal_number in _DEADLY_SIGNALS:
            self._killed[part] = pid
        return pid

    def stop(self, part: str) -> None:
        """Stop a part and leave it stopped."""
        with contextlib.suppress(xmlrpc.client.Fault):  # the part does not run
            self._call("stopProcess", part)

    def start(self, part: str, env: dict[str, str] | None = None) -> None:
        """Start a stopped part without waiting for it.

        Args:
            part: its name.
            env: environment variables for this and later starts, in addition to the stack's.
        """
        if env is not None:
            self.state.relaunch(part, self._saved(), env)
        self._call("startProcess", part, False)

    def wait_ready(self, part: str, timeout_s: float | None = None) -> float:
        """Wait until a part is ready, across restarts; return the seconds it took.

        Raises:
            PartDied: supervisord gave up, or the part is stopped.
            NotReady: the part was not ready before the timeout.
        """
        limit_s = start_timeout_s(part) if timeout_s is None else timeout_s
        numbers, reason = self._saved().ports, "no probe yet"
        for elapsed in poll.attempts(limit_s):
            info = self._call("getProcessInfo", part)
            if info["statename"] not in (*supervision.ALIVE, "EXITED"):
                raise PartDied(part, info["statename"], self.log_tail(part))
            if info["pid"] and info["pid"] != self._killed.get(part):
                current = probes.not_ready_reason(part, numbers)
                if current is None:
                    return elapsed
                reason = current
        raise NotReady(part, limit_s, reason, self.log_tail(part))

    def log_tail(self, part: str, lines: int = _TAIL_LINES) -> str:
        """Return the last lines of a part's log."""
        return self.state.log_tail(part, lines)

    def new_events(self) -> list[supervision.Event]:
        """Return the events since the last call, oldest first; the first call returns those since `up`."""
        events, self._seen_bytes = supervision.read_events(self.state.events, self._seen_bytes)
        return events

    def _saved(self) -> SavedStack:
        saved = self.state.saved()
        if saved is None:
            raise NotRunning(self.state.root)
        return saved

    def _call(self, method: str, *arguments: object) -> Any:
        try:
            return supervision.call(self._saved().socket, method, *arguments)
        except OSError as error:
            raise NotRunning(self.state.root) from error

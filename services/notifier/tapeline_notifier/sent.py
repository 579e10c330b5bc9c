"""The sent-log: what each target was told, in one SQLite file.

A message is written down before its first try (with all its alerts, so that a later process sends the same one) and
again when the target took it. Between the two nobody can know after a crash whether it arrived: that one message
is sent again, and says so.
Source: https://www.sqlite.org/pragma.html#pragma_synchronous
"""

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from tapeline.records.alert import Alert

from tapeline_notifier.errors import SentLogUnusable, StateInUse
from tapeline_notifier.message import Message, subject

_FILE: Final = "sent.sqlite"
_LOCK: Final = "lock"
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS message (
    message_id TEXT NOT NULL, target TEXT NOT NULL, alerts TEXT NOT NULL,
    is_doubtful INTEGER NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY (target, message_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS settled (
    target TEXT NOT NULL, alert_id TEXT NOT NULL, subject TEXT NOT NULL, outcome TEXT NOT NULL, at_ms INTEGER NOT NULL,
    PRIMARY KEY (target, alert_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS settled_at ON settled (at_ms);
"""


class Begun(NamedTuple):
    """A message that an earlier process began; doubtful where one of its tries may have arrived."""

    message: Message
    is_doubtful: bool


class SentLog:
    """What was sent; each change is on the disk when its call returns."""

    def __init__(self, folder: Path | None) -> None:
        """Open, or make, the log of a folder.

        Args:
            folder: for this process alone; None: in memory, gone with the process.

        Raises:
            StateInUse: another process has it.
            SentLogUnusable: it cannot be made or read.
        """
        self._path = Path(":memory:") if folder is None else folder / _FILE
        self._lock: int | None = None
        with self._told():
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
                self._lock = _locked(folder)
            self._base = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            self._base.execute("PRAGMA journal_mode=DELETE")
            self._base.execute("PRAGMA synchronous=FULL")
            self._base.executescript(_SCHEMA)

    def begin(self, target: str, message: Message, now_ms: int) -> None:
        """Write a try down before it is made: from now on the message may have arrived."""
        alerts = json.dumps([alert.model_dump(mode="json") for alert in message.alerts])
        with self._written():
            self._base.execute(
                "INSERT INTO message VALUES (?, ?, ?, 1, ?) ON CONFLICT DO UPDATE SET is_doubtful = 1",
                (message.message_id, target, alerts, now_ms),
            )

    def missed(self, target: str, message: Message) -> None:
        """Write down that no try so far has arrived."""
        with self._written():
            self._base.execute(
                "UPDATE message SET is_doubtful = 0 WHERE target = ? AND message_id = ?", (target, message.message_id)
            )

    def end(self, target: str, message: Message, outcome: str, now_ms: int) -> None:
        """Write down that a message is done with, and with it all its alerts."""
        with self._written():
            self._base.execute("DELETE FROM message WHERE target = ? AND message_id = ?", (target, message.message_id))
            self._settle(target, message.alerts, outcome, now_ms)

    def settle(self, target: str, alerts: Iterable[Alert], outcome: str, now_ms: int) -> None:
        """Write down that alerts will not be sent to a target, and why."""
        with self._written():
            self._settle(target, alerts, outcome, now_ms)

    def is_settled(self, target: str, alert_id: str) -> bool:
        """Return whether a target is done with an alert."""
        question = "SELECT 1 FROM settled WHERE target = ? AND alert_id = ?"
        return bool(self._rows(question, target, alert_id))

    def begun(self, target: str) -> list[Begun]:
        """Return the messages that an earlier process began and did not end, oldest first."""
        question = "SELECT message_id, alerts, is_doubtful FROM message WHERE target = ? ORDER BY at_ms, message_id"
        found = []
        for message_id, alerts, is_doubtful in self._rows(question, target):
            read = tuple(Alert.model_validate_json(json.dumps(each)) for each in json.loads(alerts))
            found.append(Begun(Message(message_id, read), bool(is_doubtful)))
        return found

    def sent_at_ms(self, target: str) -> dict[str, int]:
        """Return, by subject, when a target was last told of it."""
        question = "SELECT subject, MAX(at_ms) FROM settled WHERE target = ? AND outcome = 'sent' GROUP BY subject"
        return dict(self._rows(question, target))

    def forget(self, before_ms: int) -> int:
        """Forget what was settled before a time; return how many."""
        with self._written():
            return self._base.execute("DELETE FROM settled WHERE at_ms < ?", (before_ms,)).rowcount

    def close(self) -> None:
        """Give the file to whoever wants it next."""
        self._base.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _settle(self, target: str, alerts: Iterable[Alert], outcome: str, now_ms: int) -> None:
        rows = [(target, alert.alert_id, subject(alert), outcome, now_ms) for alert in alerts]
        self._base.executemany("INSERT OR IGNORE INTO settled VALUES (?, ?, ?, ?, ?)", rows)

    def _rows(self, question: str, *values: object) -> list[tuple[Any, ...]]:
        with self._told():
            return self._base.execute(question, values).fetchall()

    @contextmanager
    def _written(self) -> Iterator[None]:
        with self._told():
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._base.execute("COMMIT")
            except BaseException:
                # SQLite itself rolls back where the disk is full.
                if self._base.in_transaction:
                    self._base.execute("ROLLBACK")
                raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, ValueError) as error:
            raise SentLogUnusable(self._path, f"{type(error).__name__}: {error}") from error


def _locked(folder: Path) -> int:
    """Return an open file that is locked for as long as this process lives and keeps it open."""
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StateInUse(folder) from None
    return descriptor

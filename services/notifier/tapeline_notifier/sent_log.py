"""The sent-log: the deliveries to each target, in one SQLite file.

A message is recorded before its first attempt (with all its alerts, so that a later process sends the same message)
and again when the target accepts it. After a crash between the two the message may or may not have arrived: it is
sent again, marked as a repeat.
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
from tapeline.service.files import OutdatedState

from tapeline_notifier.errors import SentLogUnusable, StateInUse
from tapeline_notifier.message import Message, subject

_FILE: Final = "sent.sqlite"
_LOCK: Final = "lock"
FORMAT: Final = 1
"""In the header of the file, as `user_version`; 0 in a new file and in those from before formats had numbers."""
_WAY_OUT: Final = "stop the notifier and move the file away; alerts above the committed offsets may be sent again"
# Table and column names are on disk: `settled` holds finalised alerts.
_SCHEMA: Final = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS message (
    message_id TEXT NOT NULL, target TEXT NOT NULL, alerts TEXT NOT NULL,
    is_doubtful INTEGER NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY (target, message_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS settled (
    target TEXT NOT NULL, alert_id TEXT NOT NULL, subject TEXT NOT NULL, outcome TEXT NOT NULL, at_ms INTEGER NOT NULL,
    PRIMARY KEY (target, alert_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS settled_at ON settled (at_ms);
PRAGMA user_version = {FORMAT};
COMMIT;
"""


class UnfinishedMessage(NamedTuple):
    """A message that an earlier process did not finalise; doubtful if one of its attempts may have arrived."""

    message: Message
    is_doubtful: bool


class SentLog:
    """Messages and finalised alerts by target; each change is on disk when its call returns."""

    def __init__(self, folder: Path | None) -> None:
        """Open or create the log in a folder.

        Args:
            folder: exclusive to this process; None: in memory.

        Raises:
            StateInUse: another process uses the folder.
            SentLogUnusable: the file cannot be created or read.
            OutdatedState: the file has another format.
        """
        self._path = Path(":memory:") if folder is None else folder / _FILE
        self._lock: int | None = None
        with self._wrap_errors():
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
                self._lock = _lock_folder(folder)
            self._database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            self._require_format()
            self._database.execute("PRAGMA journal_mode=DELETE")
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.executescript(_SCHEMA)

    def record_attempt(self, target: str, message: Message, now_ms: int) -> None:
        """Record an attempt before it is made: from now on the message may have arrived."""
        alerts = json.dumps([alert.model_dump(mode="json") for alert in message.alerts])
        with self._transaction():
            self._database.execute(
                "INSERT INTO message VALUES (?, ?, ?, 1, ?) ON CONFLICT DO UPDATE SET is_doubtful = 1",
                (message.message_id, target, alerts, now_ms),
            )

    def record_not_delivered(self, target: str, message: Message) -> None:
        """Record that no attempt so far has arrived."""
        with self._transaction():
            self._database.execute(
                "UPDATE message SET is_doubtful = 0 WHERE target = ? AND message_id = ?", (target, message.message_id)
            )

    def finalise_message(self, target: str, message: Message, outcome: str, now_ms: int) -> None:
        """Finalise a message and all its alerts."""
        with self._transaction():
            self._database.execute(
                "DELETE FROM message WHERE target = ? AND message_id = ?", (target, message.message_id)
            )
            self._insert_finalised(target, message.alerts, outcome, now_ms)

    def finalise(self, target: str, alerts: Iterable[Alert], outcome: str, now_ms: int) -> None:
        """Finalise alerts for a target without a message."""
        with self._transaction():
            self._insert_finalised(target, alerts, outcome, now_ms)

    def is_finalised(self, target: str, alert_id: str) -> bool:
        """Return whether an alert is finalised for a target."""
        query = "SELECT 1 FROM settled WHERE target = ? AND alert_id = ?"
        return bool(self._rows(query, target, alert_id))

    def unfinished(self, target: str) -> list[UnfinishedMessage]:
        """Return the messages that an earlier process did not finalise, oldest first."""
        query = "SELECT message_id, alerts, is_doubtful FROM message WHERE target = ? ORDER BY at_ms, message_id"
        found = []
        for message_id, alerts, is_doubtful in self._rows(query, target):
            parsed = tuple(Alert.model_validate_json(json.dumps(each)) for each in json.loads(alerts))
            found.append(UnfinishedMessage(Message(message_id, parsed), bool(is_doubtful)))
        return found

    def last_sent_at_ms(self, target: str) -> dict[str, int]:
        """Return, by subject, when the last message to a target was sent."""
        query = "SELECT subject, MAX(at_ms) FROM settled WHERE target = ? AND outcome = 'sent' GROUP BY subject"
        return dict(self._rows(query, target))

    def purge(self, before_ms: int) -> int:
        """Delete alerts finalised before a time; return how many."""
        with self._transaction():
            return self._database.execute("DELETE FROM settled WHERE at_ms < ?", (before_ms,)).rowcount

    def close(self) -> None:
        """Close the file and release the lock."""
        self._database.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _require_format(self) -> None:
        (found,) = self._database.execute("PRAGMA user_version").fetchone()
        is_new = found == 0 and self._database.execute("SELECT 1 FROM sqlite_schema").fetchone() is None
        if found != FORMAT and not is_new:
            self.close()
            raise OutdatedState(self._path, str(found), FORMAT, _WAY_OUT)

    def _insert_finalised(self, target: str, alerts: Iterable[Alert], outcome: str, now_ms: int) -> None:
        rows = [(target, alert.alert_id, subject(alert), outcome, now_ms) for alert in alerts]
        self._database.executemany("INSERT OR IGNORE INTO settled VALUES (?, ?, ?, ?, ?)", rows)

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._wrap_errors():
            return self._database.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._wrap_errors():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                # On a full disk SQLite has already rolled back.
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    @contextmanager
    def _wrap_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, ValueError) as error:
            raise SentLogUnusable(self._path, f"{type(error).__name__}: {error}") from error


def _lock_folder(folder: Path) -> int:
    """Lock a folder and return the file descriptor that holds the lock."""
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StateInUse(folder) from None
    return descriptor

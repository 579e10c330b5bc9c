"""A batch of the candle query, from Kafka's bytes to documents that stand: on the driver, in both shapes.

Symbols times minutes is little work however many trades there are, and what follows needs all symbols in one hand.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tapeline_spark.candles import build, snapshot
from tapeline_spark.candles.documents import candle_operation, missed_operation
from tapeline_spark.candles.listener import Changes, Follower, LogRow
from tapeline_spark.candles.replay import Place, Rereader
from tapeline_spark.candles.state import Book
from tapeline_spark.elastic.bulk import Outcome
from tapeline_spark.elastic.documents import Operation
from tapeline_spark.elastic.sink import ElasticSink
from tapeline_spark.errors import LogTruncated
from tapeline_spark.kafka.decode import Record, read
from tapeline_spark.settings import Settings

log = logging.getLogger(__name__)


@dataclass(slots=True)
class CandleReport:
    """What one call of `Runner.run` did.

    Attributes:
        outcomes: records of trades by what became of them, by the names of book.OUTCOMES, and `unreadable`.
        reread: records that were read again before the batch.
        written: what Elasticsearch did with the documents.
        newest_ms: the clock of the log.
        stage_s: seconds spent, by stage.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    reread: int = 0
    written: Outcome = field(default_factory=Outcome)
    newest_ms: int = 0
    stage_s: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("minutes", "candles", "follow"), 0.0))


class Runner:
    """Holds the minutes of all symbols, writes their candles, and tells those who follow."""

    def __init__(
        self, settings: Settings, sink: ElasticSink, followers: Sequence[Follower], now_ms: Callable[[], int]
    ) -> None:
        """Start from the last snapshot, if there is one.

        Args:
            settings: of the stream.
            sink: where documents go.
            followers: told of every batch, in this order.
            now_ms: our clock, ms UTC.
        """
        self._settings, self._sink, self._followers, self._now_ms = settings, sink, followers, now_ms
        self._path = Path(settings.checkpoint) / "minutes" / "candles.msgpack"
        self._rereader = Rereader(settings, settings.topic_trades, settings.candles_max_records)
        self._lock = threading.Lock()
        self._saved_at = 0.0
        self._has_run = False
        self._book = self._restored()

    def run(self, rows: Sequence[LogRow], is_caught_up: bool) -> CandleReport:
        """Carry one batch; returns only when all that follows from it stands.

        Args:
            rows: records of all topics, in log order within a partition.
            is_caught_up: every partition was read to its end.

        Raises:
            StreamError: see errors.py; the batch comes again.
        """
        report = CandleReport()
        first: dict[Place, int] = {}
        for row in rows:
            first.setdefault((row.topic, row.partition), row.offset)
        with self._lock:
            for piece in self._missing(first):
                report.reread += len(piece)
                self._carry(piece, False, report)
            if not report.reread and time.monotonic() - self._saved_at >= self._settings.candles_snapshot_interval_s:
                self._save()
            self._carry(rows, is_caught_up, report)
            self._has_run = True
        report.newest_ms = self._book.newest_ms
        return report

    def tick(self) -> None:
        """Let the followers do what is due by our clock, unless a batch is being carried.

        Raises:
            StreamError: as `run`.
        """
        if self._has_run and self._lock.acquire(blocking=False):
            try:
                for follower in self._followers:
                    follower.tick(self._now_ms())
            finally:
                self._lock.release()

    def _missing(self, first: Mapping[Place, int]) -> Iterator[list[LogRow]]:
        """Yield what lies between the state and where the batch begins."""
        if self._is_ahead(first):
            # The batch is being run again: this state has seen it already.
            self._book = self._restored()
        if self._is_ahead(first):
            self._book = self._fresh()
        try:
            plan = self._rereader.plan(self._book, first)
        except LogTruncated as error:
            log.warning("state of the candles begins anew", extra={"reason": str(error)})
            self._book = self._fresh()
            plan = self._rereader.plan(self._book, first)
        yield from self._rereader.read(plan)

    def _is_ahead(self, first: Mapping[Place, int]) -> bool:
        return any(self._book.next_offset.get(place, 0) > offset for place, offset in first.items())

    def _restored(self) -> Book:
        loaded = snapshot.load(self._path, self._settings.late_minutes, self._settings.quiet_minutes)
        if loaded is None:
            return self._fresh()
        book, states = loaded
        for follower in self._followers:
            follower.restore(states.get(follower.name))
        return book

    def _fresh(self) -> Book:
        for follower in self._followers:
            follower.restore(None)
        return Book(self._settings.late_minutes, self._settings.quiet_minutes)

    def _save(self) -> None:
        snapshot.save(self._book, {follower.name: follower.save() for follower in self._followers}, self._path)
        self._saved_at = time.monotonic()

    def _carry(self, rows: Sequence[LogRow], is_caught_up: bool, report: CandleReport) -> None:
        started = time.perf_counter()
        books, unreadable = self._admit(rows, report)
        admitted = time.perf_counter()
        spans = self._book.changed(is_caught_up)
        candles = {span.key: build.candles(span) for span in spans}
        self._book.forget(spans)
        last_traded_ms = {key: series.newest[0] for key, series in self._book.series.items()}
        missed = self._book.missed()
        changes = Changes(
            self._book.newest_ms, is_caught_up, candles, missed, last_traded_ms, tuple(books), tuple(unreadable)
        )
        self._write(changes, report)
        written = time.perf_counter()
        for follower in self._followers:
            follower.after_batch(changes)
        report.stage_s["minutes"] += admitted - started
        report.stage_s["candles"] += written - admitted
        report.stage_s["follow"] += time.perf_counter() - written

    def _admit(self, rows: Sequence[LogRow], report: CandleReport) -> tuple[list[LogRow], list[LogRow]]:
        """Take trades into the state; return the records of other topics, and those of trades that are none."""
        books: list[LogRow] = []
        unreadable: list[LogRow] = []
        records: list[Record] = []
        for row in rows:
            self._book.next_offset[row.topic, row.partition] = row.offset + 1
            if row.topic != self._settings.topic_trades:
                books.append(row)
                continue
            item = read(row.value, row.partition, row.offset)
            if isinstance(item, Record):
                records.append(item)
            else:
                unreadable.append(row)
        report.outcomes += self._book.admit(records)
        report.outcomes["unreadable"] += len(unreadable)
        return books, unreadable

    def _write(self, changes: Changes, report: CandleReport) -> None:
        pending: list[Operation] = []
        for operation in _operations(changes, self._now_ms()):
            pending.append(operation)
            # A week without Kafka gives more quiet minutes than should be held as text.
            if len(pending) >= self._settings.bulk_documents:
                report.written.add(self._sink.write(pending, self._now_ms))
                pending = []
        report.written.add(self._sink.write(pending, self._now_ms))


def _operations(changes: Changes, now_ms: int) -> Iterator[Operation]:
    for key, candles in changes.candles.items():
        for item in candles.values():
            yield candle_operation(key, item, now_ms)
    for key, minutes in changes.missed.items():
        for minute_ms, missed in minutes.items():
            yield missed_operation(key, minute_ms, missed, now_ms)

"""Processes a batch of the candle query, from Kafka's bytes to stored documents; always on the driver.

The work grows with symbols times minutes, not with trades, and the listeners need all symbols in one place.
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
from tapeline_spark.candles.listener import CandleListener, Changes, LogClock, LogRow, ProducerRecords
from tapeline_spark.candles.replay import LogReplay
from tapeline_spark.candles.state import CandleState
from tapeline_spark.elastic.bulk import Outcome
from tapeline_spark.elastic.documents import Operation
from tapeline_spark.elastic.sink import ElasticSink
from tapeline_spark.errors import LogTruncated
from tapeline_spark.kafka.decode import DecodedTrade, TopicPartition, decode_trade
from tapeline_spark.settings import Settings

log = logging.getLogger(__name__)


@dataclass(slots=True)
class CandleReport:
    """Result of one call of `Runner.run`.

    Attributes:
        outcomes: trade records by outcome (state.OUTCOMES and `unreadable`).
        replayed: number of records replayed before the batch.
        written: result of the bulk requests.
        clocks: the clock of each venue.
        stage_s: seconds spent, by stage.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    replayed: int = 0
    written: Outcome = field(default_factory=Outcome)
    clocks: Mapping[str, LogClock] = field(default_factory=dict)
    stage_s: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("minutes", "candles", "listeners"), 0.0))


class Runner:
    """Holds the candle state, writes candles and calls the listeners."""

    def __init__(
        self, settings: Settings, sink: ElasticSink, listeners: Sequence[CandleListener], now_ms: Callable[[], int]
    ) -> None:
        """Start from the last snapshot, if there is one.

        Args:
            settings: of the stream.
            sink: of the documents.
            listeners: called after every batch, in this order.
            now_ms: local clock, ms UTC.
        """
        self._settings, self._sink, self._listeners, self._now_ms = settings, sink, listeners, now_ms
        self._path = Path(settings.checkpoint) / "minutes" / "candles.msgpack"
        self._topics_trades = frozenset(settings.topics_trades)
        self._topics_producer = settings.topic_counts, settings.topic_gaps, settings.topic_rejects
        self._replay = LogReplay(settings, self._topics_trades, settings.candles_max_records)
        self._lock = threading.Lock()
        self._snapshot_at = 0.0
        self._has_run = False
        self._state = self._restored()

    def run(self, rows: Sequence[LogRow], starts: Mapping[TopicPartition, int], is_caught_up: bool) -> CandleReport:
        """Process one batch; returns when its candles and the results of the listeners are durable.

        Args:
            rows: records of all topics, in log order within a partition.
            starts: where the batch begins in each partition. A partition without records in the batch must be among
                them: after a crash its last records may be missing from the state.
            is_caught_up: every partition was read to its end.

        Raises:
            StreamError: see errors.py; the batch comes again.
        """
        report = CandleReport()
        first = self._first_offsets(rows, starts)
        with self._lock:
            for chunk in self._replayed_rows(first):
                report.replayed += len(chunk)
                self._process(chunk, False, report)
            if (
                not report.replayed
                and time.monotonic() - self._snapshot_at >= self._settings.candles_snapshot_interval_s
            ):
                self._save_snapshot()
            self._process(rows, is_caught_up, report)
            self._has_run = True
        report.clocks = self._state.clocks()
        return report

    def tick(self) -> None:
        """Tick the listeners, unless a batch is running.

        Raises:
            StreamError: as `run`.
        """
        if self._has_run and self._lock.acquire(blocking=False):
            try:
                for listener in self._listeners:
                    listener.tick(self._now_ms())
            finally:
                self._lock.release()

    def _first_offsets(self, rows: Sequence[LogRow], starts: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Return where a batch begins, in every partition of the topics that are read today."""
        topics = {*self._topics_trades, *self._topics_producer}
        first: dict[TopicPartition, int] = {}
        for row in rows:
            first.setdefault((row.topic, row.partition), row.offset)
        return {partition: offset for partition, offset in starts.items() if partition[0] in topics} | first

    def _replayed_rows(self, first: Mapping[TopicPartition, int]) -> Iterator[list[LogRow]]:
        """Yield the records between the state and the beginning of the batch."""
        if self._is_ahead(first):
            # Spark runs the batch again, and this state already contains it.
            self._state = self._restored()
        if self._is_ahead(first):
            self._state = self._fresh()
        try:
            plan = self._replay.plan(self._state, first)
        except LogTruncated as error:
            log.warning("log truncated; candle state reset", extra={"reason": str(error)})
            self._state = self._fresh()
            plan = self._replay.plan(self._state, first)
        yield from self._replay.read(plan)

    def _is_ahead(self, first: Mapping[TopicPartition, int]) -> bool:
        return any(self._state.next_offset.get(partition, 0) > offset for partition, offset in first.items())

    def _restored(self) -> CandleState:
        loaded = snapshot.load(self._path, self._settings.late_minutes, self._settings.quiet_minutes)
        if loaded is None:
            return self._fresh()
        state, listener_states = loaded
        for listener in self._listeners:
            listener.restore(listener_states.get(listener.name))
        return state

    def _fresh(self) -> CandleState:
        for listener in self._listeners:
            listener.restore(None)
        return CandleState(self._settings.late_minutes, self._settings.quiet_minutes)

    def _save_snapshot(self) -> None:
        snapshot.save(self._state, {listener.name: listener.snapshot() for listener in self._listeners}, self._path)
        self._snapshot_at = time.monotonic()

    def _process(self, rows: Sequence[LogRow], is_caught_up: bool, report: CandleReport) -> None:
        started = time.perf_counter()
        producer_records, unreadable = self._admit(rows, report)
        admitted = time.perf_counter()
        changes = build.changes(self._state, is_caught_up, producer_records, unreadable)
        self._write(changes, report)
        written = time.perf_counter()
        for listener in self._listeners:
            listener.after_batch(changes)
        report.stage_s["minutes"] += admitted - started
        report.stage_s["candles"] += written - admitted
        report.stage_s["listeners"] += time.perf_counter() - written

    def _admit(self, rows: Sequence[LogRow], report: CandleReport) -> tuple[ProducerRecords, list[LogRow]]:
        """Admit trades to the state; return the records of other topics, and unreadable trade records."""
        by_topic: dict[str, list[LogRow]] = {topic: [] for topic in self._topics_producer}
        unreadable: list[LogRow] = []
        records: dict[str, list[DecodedTrade]] = {}
        for row in rows:
            self._state.next_offset[row.topic, row.partition] = row.offset + 1
            if row.topic not in self._topics_trades:
                by_topic[row.topic].append(row)
                continue
            item = decode_trade(row.value, row.topic, row.partition, row.offset)
            if isinstance(item, DecodedTrade):
                records.setdefault(row.topic, []).append(item)
            else:
                unreadable.append(row)
        for topic, trades in records.items():
            report.outcomes += self._state.admit(topic, trades)
        report.outcomes["unreadable"] += len(unreadable)
        return ProducerRecords(*(tuple(by_topic[topic]) for topic in self._topics_producer)), unreadable

    def _write(self, changes: Changes, report: CandleReport) -> None:
        pending: list[Operation] = []
        for operation in _operations(changes, self._now_ms()):
            pending.append(operation)
            # After a week without Kafka there are more quiet minutes than should be held as text.
            if len(pending) >= self._settings.bulk_documents:
                report.written.add(self._sink.write(pending, self._now_ms))
                pending = []
        report.written.add(self._sink.write(pending, self._now_ms))


def _operations(changes: Changes, now_ms: int) -> Iterator[Operation]:
    for instrument, candles in changes.candles.items():
        for item in candles.values():
            yield candle_operation(instrument, item, now_ms)
    for instrument, minutes in changes.missed.items():
        for minute_ms, missed in minutes.items():
            yield missed_operation(instrument, minute_ms, missed, now_ms)

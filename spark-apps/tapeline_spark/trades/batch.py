"""A batch, from Kafka's bytes to counted documents: the same work in the driver and in an executor."""

import logging
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from tapeline import names
from tapeline.model import features

from tapeline_spark.elastic.bulk import Outcome
from tapeline_spark.elastic.documents import (
    Operation,
    Verdict,
    gap_operation,
    reject_operation,
    trade_operation,
    unreadable_operation,
)
from tapeline_spark.elastic.sink import ElasticSink
from tapeline_spark.kafka.decode import Record, Unreadable, read
from tapeline_spark.settings import Settings
from tapeline_spark.trades import snapshot
from tapeline_spark.trades.batch_counts import BatchCounts
from tapeline_spark.trades.inference_client import Scorer
from tapeline_spark.trades.lookback import Admission, Book
from tapeline_spark.trades.snapshot import LogReader

log = logging.getLogger(__name__)

Row = tuple[str, int, int, bytes | None]


def now_ms() -> int:
    """Return our clock, ms UTC."""
    return time.time_ns() // 1_000_000


@dataclass(slots=True)
class BatchReport:
    """What one call of `Processor.run` did.

    Attributes:
        counts: every record's fate.
        stage_s: seconds spent, by stage; `index` runs beside the others, so their sum can exceed the batch.
        ack_delay_s: (n,) seconds from produce() to the bulk answer, one a trade.
    """

    counts: BatchCounts
    stage_s: dict[str, float]
    ack_delay_s: Any


class _Written(NamedTuple):
    """What became of one part in Elasticsearch."""

    outcome: Outcome
    delays_s: Any
    seconds: float


class _Work:
    """A batch under way: what is counted of it, and the part that is being written."""

    def __init__(self) -> None:
        self.counts = BatchCounts()
        self.stage_s = dict.fromkeys(("features", "score", "documents", "index"), 0.0)
        self.delays_s: list[Any] = []
        self.pending: Future[_Written] | None = None

    def settle(self) -> None:
        """Wait until the part under way is written, and count it; its error is the batch's."""
        if self.pending is None:
            return
        pending, self.pending = self.pending, None
        written = pending.result()
        self.counts.created += written.outcome.created
        self.counts.conflict += written.outcome.conflict
        self.counts.refused += len(written.outcome.unfit)
        self.delays_s.append(written.delays_s)
        self.stage_s["index"] += written.seconds


def rows_of(table: pa.Table) -> list[Row]:
    """Return (topic, partition, offset, value) of each record, in log order."""
    columns = (table.column(name).to_pylist() for name in ("topic", "partition", "offset", "value"))
    rows = list(zip(*columns, strict=True))
    rows.sort(key=lambda row: (row[0], row[1], row[2]))
    return rows


class Processor:
    """Holds the tails of some partitions and carries their batches to Elasticsearch."""

    def __init__(self, settings: Settings, scorer: Scorer, sink: ElasticSink, scope: str) -> None:
        """Start from the last snapshot of `scope`, if there is one."""
        self._settings, self._scorer, self._sink = settings, scorer, sink
        self._path = Path(settings.checkpoint) / "tails" / f"{scope}.msgpack"
        self._book = snapshot.load(self._path) or Book()
        self._reader = LogReader(settings, settings.topic_trades)
        self._saved_at = 0.0
        self.reread = 0

    def run(self, rows: Iterable[Row]) -> BatchReport:
        """Carry one batch through; returns only when every record's fate is known and counted.

        Args:
            rows: records of all topics in log order.

        Raises:
            StreamError: see errors.py; nothing of the batch is forgotten, Spark runs it again.
        """
        trades, books_rows = self._split(rows)
        work = _Work()
        with ThreadPoolExecutor(1, thread_name_prefix="index") as writer:
            self._align(trades)
            size = self._settings.bulk_documents
            for start in range(0, len(trades), size):
                # Elasticsearch takes the part before in the meantime: it is the other half of the cost.
                prepared = self._prepare(trades[start : start + size], work)
                work.settle()
                work.pending = writer.submit(self._write, *prepared)
            work.settle()
        extra = self._bookkeeping(books_rows, work.counts)
        self._sink.write(extra, now_ms)
        work.counts.check()
        return BatchReport(work.counts, work.stage_s, np.concatenate([np.empty(0), *work.delays_s]))

    def _prepare(self, rows: list[Row], work: "_Work") -> tuple[Admission, list[Operation], list[Operation]]:
        """Return a part's admission, its documents and its rejects, all of them counted."""
        started = time.perf_counter()
        admission, unreadable = self._admit(rows)
        admitted = time.perf_counter()
        verdicts = self._judge(admission)
        judged = time.perf_counter()
        topic, now = self._settings.topic_trades, now_ms()
        operations = self._operations(admission, verdicts, work.counts)
        rejects = [unreadable_operation(item, now, topic) for item in unreadable]
        work.counts.read += len(rows)
        work.counts.unreadable += len(unreadable)
        work.counts.duplicate += admission.duplicates
        work.stage_s["features"] += admitted - started
        work.stage_s["score"] += judged - admitted
        work.stage_s["documents"] += time.perf_counter() - judged
        return admission, operations, rejects

    def _write(self, admission: Admission, operations: list[Operation], rejects: list[Operation]) -> "_Written":
        started = time.perf_counter()
        self._sink.write(rejects, now_ms)
        outcome = self._sink.write(operations, now_ms)
        return _Written(outcome, self._delays(admission), time.perf_counter() - started)

    def _split(self, rows: Iterable[Row]) -> tuple[list[Row], list[Row]]:
        trades: list[Row] = []
        other: list[Row] = []
        for row in rows:
            (trades if row[0] == self._settings.topic_trades else other).append(row)
        return trades, other

    def _align(self, trades: list[Row]) -> None:
        """Bring the tails to where this batch begins, and save them when it is time."""
        first: dict[int, int] = {}
        for _, partition, offset, _ in trades:
            first.setdefault(partition, offset)
        if any(self._book.next_offset.get(p, 0) > offset for p, offset in first.items()):
            # The batch is being run again: these tails have seen it already.
            self._book = self._restored(first)
        again = self._reader.catch_up(self._book, first)
        if again:
            self.reread += again
            log.info("tails rebuilt from the log", extra={"records": again})
        if time.monotonic() - self._saved_at >= self._settings.snapshot_interval_s:
            snapshot.save(self._book, self._path)
            self._saved_at = time.monotonic()

    def _restored(self, first: dict[int, int]) -> Book:
        book = snapshot.load(self._path) or Book()
        ahead = any(book.next_offset.get(p, 0) > offset for p, offset in first.items())
        return Book() if ahead else book

    def _admit(self, trades: list[Row]) -> tuple[Admission, list[Unreadable]]:
        readable: list[Record] = []
        unreadable: list[Unreadable] = []
        for _, partition, offset, value in trades:
            item = read(value, partition, offset)
            if isinstance(item, Record):
                readable.append(item)
            else:
                unreadable.append(item)
            self._book.next_offset[partition] = offset + 1
        return self._book.admit(readable), unreadable

    def _judge(self, admission: Admission) -> list[Verdict]:
        """Return one verdict a row of `admission.ordered`."""
        matrix, warm = features.compute(admission.trades, admission.rows)
        with np.errstate(over="ignore"):
            narrow = matrix.astype(np.float32)
        finite = np.isfinite(narrow).all(axis=1)
        scores = self._scorer.score(narrow[warm & finite])
        verdicts = [Verdict(names.STATE_WARMING_UP)] * len(warm)
        for row in np.flatnonzero(warm & ~finite):
            verdicts[row] = Verdict(names.STATE_INVALID_FEATURES)
        for number, row in enumerate(np.flatnonzero(warm & finite)):
            if scores.state == names.STATE_OK:
                probability = float(scores.probability[number])
                passes = int(probability >= scores.threshold)
                verdicts[row] = Verdict(names.STATE_OK, probability, passes, scores.model_digest)
            else:
                verdicts[row] = Verdict(scores.state)
        return verdicts

    def _operations(self, admission: Admission, verdicts: list[Verdict], counts: BatchCounts) -> list[Operation]:
        topic, now = self._settings.topic_trades, now_ms()
        late = [Verdict(names.STATE_LATE)] * len(admission.late)
        operations = []
        for record, verdict in zip(admission.ordered + admission.late, verdicts + late, strict=True):
            operations.append(trade_operation(record, verdict, now, topic))
            counts.by_state[verdict.state] += 1
        return operations

    def _bookkeeping(self, rows: list[Row], counts: BatchCounts) -> list[Operation]:
        operations = []
        for topic, partition, offset, value in rows:
            gap = topic == self._settings.topic_gaps
            make = gap_operation if gap else reject_operation
            operations.append(make(value or b"", topic, partition, offset, now_ms()))
            counts.gaps += gap
            counts.rejects += not gap
        return operations

    def _delays(self, admission: Admission) -> Any:
        produced = [record.trade.produced_at for record in (*admission.ordered, *admission.late)]
        return np.maximum(now_ms() - np.array(produced, dtype=np.int64), 0) / 1000.0

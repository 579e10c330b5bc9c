"""Processes a batch from Kafka's bytes to counted documents, in the driver or in an executor."""

import logging
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from tapeline.enums import PredictionState
from tapeline.model import features
from tapeline.service.clock import now_ms

from tapeline_spark.elastic.bulk import Outcome
from tapeline_spark.elastic.documents import (
    Operation,
    PredictionResult,
    gap_operation,
    reject_operation,
    trade_operation,
    unreadable_operation,
)
from tapeline_spark.elastic.sink import ElasticSink
from tapeline_spark.kafka.decode import DecodedTrade, TopicPartition, UnreadableRecord, decode_trade
from tapeline_spark.settings import Settings
from tapeline_spark.trades import snapshot
from tapeline_spark.trades.batch_counts import BatchCounts
from tapeline_spark.trades.inference_client import InferenceClient
from tapeline_spark.trades.lookback import Admission, LookbackState
from tapeline_spark.trades.snapshot import LookbackReplay

log = logging.getLogger(__name__)

Row = tuple[str, int, int, bytes | None]


@dataclass(slots=True)
class BatchReport:
    """Result of one call of `BatchProcessor.run`.

    Attributes:
        counts: records by outcome.
        stage_s: seconds spent, by stage; `index` runs beside the others, so their sum can exceed the batch.
        ack_delay_s: (n,) seconds from produce() to the bulk response, one per trade.
    """

    counts: BatchCounts
    stage_s: dict[str, float]
    ack_delay_s: Any


class _Written(NamedTuple):
    """Result of writing one part to Elasticsearch."""

    outcome: Outcome
    delays_s: Any
    seconds: float


class _BatchProgress:
    """A running batch: its counts so far, and the part that is being written."""

    def __init__(self) -> None:
        self.counts = BatchCounts()
        self.stage_s = dict.fromkeys(("features", "score", "documents", "index"), 0.0)
        self.delays_s: list[Any] = []
        self.pending: Future[_Written] | None = None

    def collect_written(self) -> None:
        """Wait for the part that is being written and count it; raises the error of the write."""
        if self.pending is None:
            return
        pending, self.pending = self.pending, None
        written = pending.result()
        self.counts.created += written.outcome.created
        self.counts.conflict += written.outcome.conflict
        self.counts.refused += len(written.outcome.unfit)
        self.delays_s.append(written.delays_s)
        self.stage_s["index"] += written.seconds


def rows_in_log_order(table: pa.Table) -> list[Row]:
    """Return (topic, partition, offset, value) of each record, in log order."""
    columns = (table.column(name).to_pylist() for name in ("topic", "partition", "offset", "value"))
    rows = list(zip(*columns, strict=True))
    rows.sort(key=lambda row: (row[0], row[1], row[2]))
    return rows


class BatchProcessor:
    """Holds the lookback state of some partitions and processes their batches."""

    def __init__(self, settings: Settings, inference: InferenceClient, sink: ElasticSink, scope: str) -> None:
        """Start from the last snapshot of `scope`, if there is one."""
        self._settings, self._inference, self._sink = settings, inference, sink
        self._path = Path(settings.checkpoint) / "lookback" / f"{scope}.msgpack"
        self._state = snapshot.load(self._path) or LookbackState()
        self._replay = LookbackReplay(settings)
        self._snapshot_at = 0.0
        self.replayed = 0

    def run(self, rows: Iterable[Row]) -> BatchReport:
        """Process one batch; returns when the outcome of every record is known and counted.

        Args:
            rows: records of all topics in log order.

        Raises:
            StreamError: see errors.py; Spark runs the batch again.
        """
        trades, gap_reject_rows = self._split(rows)
        progress = _BatchProgress()
        with ThreadPoolExecutor(1, thread_name_prefix="index") as writer:
            self._synchronise(trades)
            size = self._settings.bulk_documents
            for start in range(0, len(trades), size):
                # Meanwhile Elasticsearch indexes the previous part, which is the other half of the cost.
                prepared = self._prepare(trades[start : start + size], progress)
                progress.collect_written()
                progress.pending = writer.submit(self._write, *prepared)
            progress.collect_written()
        extra = self._gap_reject_operations(gap_reject_rows, progress.counts)
        self._sink.write(extra, now_ms)
        progress.counts.check()
        return BatchReport(progress.counts, progress.stage_s, np.concatenate([np.empty(0), *progress.delays_s]))

    def _prepare(
        self, rows: list[Row], progress: "_BatchProgress"
    ) -> tuple[Admission, list[Operation], list[Operation]]:
        """Return the admission, documents and rejects of one part, and count them."""
        started = time.perf_counter()
        readable, unreadable = self._decode(rows)
        admission = self._state.admit(readable)
        admitted = time.perf_counter()
        results = self._predict(admission)
        predicted = time.perf_counter()
        now = now_ms()
        operations = self._operations(admission, results, progress.counts)
        rejects = [unreadable_operation(item, now) for item in unreadable]
        progress.counts.read += len(rows)
        progress.counts.unreadable += len(unreadable)
        progress.counts.duplicate += admission.duplicates
        progress.counts.reencoded += sum(record.is_reencoded for record in readable)
        progress.stage_s["features"] += admitted - started
        progress.stage_s["score"] += predicted - admitted
        progress.stage_s["documents"] += time.perf_counter() - predicted
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
            (trades if row[0] in self._settings.topics_trades else other).append(row)
        return trades, other

    def _synchronise(self, trades: list[Row]) -> None:
        """Bring the state to the offsets at which this batch begins; save a snapshot when one is due."""
        first: dict[TopicPartition, int] = {}
        for topic, partition, offset, _ in trades:
            first.setdefault((topic, partition), offset)
        if _is_ahead(self._state, first):
            # Spark runs the batch again, and this state already contains it.
            self._state = self._restored(first)
        replayed = self._replay.catch_up(self._state, first)
        if replayed:
            self.replayed += replayed
            log.info("lookback state rebuilt from the log", extra={"records": replayed})
        if time.monotonic() - self._snapshot_at >= self._settings.snapshot_interval_s:
            snapshot.save(self._state, self._path)
            self._snapshot_at = time.monotonic()

    def _restored(self, first: dict[TopicPartition, int]) -> LookbackState:
        state = snapshot.load(self._path) or LookbackState()
        return LookbackState() if _is_ahead(state, first) else state

    def _decode(self, trades: list[Row]) -> tuple[list[DecodedTrade], list[UnreadableRecord]]:
        readable: list[DecodedTrade] = []
        unreadable: list[UnreadableRecord] = []
        for topic, partition, offset, value in trades:
            item = decode_trade(value, topic, partition, offset)
            if isinstance(item, DecodedTrade):
                readable.append(item)
            else:
                unreadable.append(item)
            self._state.next_offset[topic, partition] = offset + 1
        return readable, unreadable

    def _predict(self, admission: Admission) -> list[PredictionResult]:
        """Return one result per row of `admission.ordered`."""
        matrix, warm = features.compute(admission.trades, admission.rows)
        with np.errstate(over="ignore"):
            narrow = matrix.astype(np.float32)
        finite = np.isfinite(narrow).all(axis=1)
        predictions = self._inference.predict(narrow[warm & finite])
        results = [PredictionResult(PredictionState.WARMING_UP)] * len(warm)
        for row in np.flatnonzero(warm & ~finite):
            results[row] = PredictionResult(PredictionState.INVALID_FEATURES)
        for number, row in enumerate(np.flatnonzero(warm & finite)):
            if predictions.state == PredictionState.OK:
                probability = float(predictions.probability[number])
                passes = int(probability >= predictions.threshold)
                results[row] = PredictionResult(PredictionState.OK, probability, passes, predictions.model_digest)
            else:
                results[row] = PredictionResult(predictions.state)
        return results

    def _operations(
        self, admission: Admission, results: list[PredictionResult], counts: BatchCounts
    ) -> list[Operation]:
        now = now_ms()
        late = [PredictionResult(PredictionState.LATE)] * len(admission.late)
        operations = []
        for record, result in zip(admission.ordered + admission.late, results + late, strict=True):
            operations.append(trade_operation(record, result, now))
            counts.by_state[result.state] += 1
        return operations

    def _gap_reject_operations(self, rows: list[Row], counts: BatchCounts) -> list[Operation]:
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


def _is_ahead(state: LookbackState, first: dict[TopicPartition, int]) -> bool:
    """Return whether the state already contains a part of the batch that begins at `first`."""
    return any(state.next_offset.get(position, 0) > offset for position, offset in first.items())

"""Runs the candle query: Spark's batches become rows, reports become metrics and log events."""

import logging
import time
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame

from tapeline_spark import metrics
from tapeline_spark.candles.listener import LogRow
from tapeline_spark.candles.runner import CandleReport, Runner
from tapeline_spark.kafka.offset_log import batch_start_offsets

log = logging.getLogger(__name__)

QUERY_NAME = "candles"
COLUMNS = ("topic", "partition", "offset", "cast(key as string) key", "value", "unix_millis(timestamp) timestamp")
_NAMES = ("topic", "partition", "offset", "key", "value", "timestamp")
# Spark divides a full batch over the partitions and rounds down.
_FULL = 0.9


def rows_in_log_order(table: pa.Table) -> list[LogRow]:
    """Return the records of a batch, in log order."""
    rows = [LogRow(*values) for values in zip(*(table.column(name).to_pylist() for name in _NAMES), strict=True)]
    rows.sort(key=lambda row: (row.topic, row.partition, row.offset))
    return rows


class CandleQuery:
    """Processes the batches of the candle query."""

    def __init__(self, runner: Runner, checkpoint: Path, max_records: int) -> None:
        """Use `runner`.

        Args:
            runner: processes the batches.
            checkpoint: folder of the checkpoints of all queries.
            max_records: of a batch; a full batch means that more records wait.
        """
        self._runner, self._checkpoint, self._max_records = runner, checkpoint / QUERY_NAME, max_records

    def on_batch(self, batch: DataFrame, number: int) -> None:
        """Process one micro-batch."""
        rows = rows_in_log_order(batch.toArrow())
        if not rows:
            return
        started = time.perf_counter()
        starts = batch_start_offsets(self._checkpoint, number)
        report = self._runner.run(rows, starts, is_caught_up=len(rows) < _FULL * self._max_records)
        metrics.count_candles(report, time.perf_counter() - started)
        _log_report(report, number)

    def tick(self) -> None:
        """Tick the listeners."""
        self._runner.tick()


def _log_report(report: CandleReport, number: int) -> None:
    spent = {f"{stage}_ms": round(seconds * 1000, 1) for stage, seconds in report.stage_s.items()}
    written = report.written
    documents = {"written": written.created, "kept": written.conflict, "absent": written.absent}
    log.info(
        "candle batch processed",
        extra={"batch": number, "records": dict(report.outcomes), "documents": documents, **spent},
    )
    if report.replayed:
        log.info("minutes rebuilt from the log", extra={"records": report.replayed})
    excluded = {
        outcome: report.outcomes[outcome] for outcome in ("missed", "truncated", "ahead") if report.outcomes[outcome]
    }
    if excluded:
        log.warning("trades excluded from candles", extra=excluded)

"""The second query: what Spark hands over becomes rows, and a runner's report becomes metrics and a log line."""

import logging
import time

import pyarrow as pa
from pyspark.sql import DataFrame

from tapeline_spark import metrics
from tapeline_spark.candles.listener import LogRow
from tapeline_spark.candles.runner import CandleReport, Runner

log = logging.getLogger(__name__)

QUERY_NAME = "candles"
COLUMNS = ("topic", "partition", "offset", "cast(key as string) key", "value", "unix_millis(timestamp) timestamp")
_NAMES = ("topic", "partition", "offset", "key", "value", "timestamp")
# Spark gives each partition its share of a full batch, rounded down.
_FULL = 0.9


def rows_of(table: pa.Table) -> list[LogRow]:
    """Return the records of a batch, in log order."""
    rows = [LogRow(*values) for values in zip(*(table.column(name).to_pylist() for name in _NAMES), strict=True)]
    rows.sort(key=lambda row: (row.topic, row.partition, row.offset))
    return rows


class CandleQuery:
    """Carries the batches of the candle query."""

    def __init__(self, runner: Runner, max_records: int) -> None:
        """Remember who does the work.

        Args:
            runner: does it.
            max_records: of a batch; a full one says that there is more.
        """
        self._runner, self._max_records = runner, max_records

    def on_batch(self, batch: DataFrame, number: int) -> None:
        """Carry one micro-batch."""
        rows = rows_of(batch.toArrow())
        if not rows:
            return
        started = time.perf_counter()
        report = self._runner.run(rows, is_caught_up=len(rows) < _FULL * self._max_records)
        metrics.count_candles(report, time.perf_counter() - started)
        _tell(report, number)

    def tick(self) -> None:
        """Let the followers do what is due."""
        self._runner.tick()


def _tell(report: CandleReport, number: int) -> None:
    spent = {f"{stage}_ms": round(seconds * 1000, 1) for stage, seconds in report.stage_s.items()}
    written = report.written
    documents = {"written": written.created, "kept": written.conflict, "absent": written.absent}
    log.info("candles", extra={"batch": number, "records": dict(report.outcomes), "documents": documents, **spent})
    if report.reread:
        log.info("minutes rebuilt from the log", extra={"records": report.reread})
    astray = {outcome: report.outcomes[outcome] for outcome in ("missed", "cut", "ahead") if report.outcomes[outcome]}
    if astray:
        log.warning("trades that are in no candle", extra=astray)

"""Runs a batch in the driver, or in one Python stage over the partitions.

Driver execution needs no Python workers and is faster on one machine. Executor execution scales with the workers: the
task that reads a Kafka partition also processes it, and returns only counts. Both run batch.py. Spark moves a partition
to another worker now and then, so an executor saves its lookback state after every batch, and a worker with an older
state loads it.
"""

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

from tapeline_spark.elastic.sink import ElasticSink
from tapeline_spark.settings import Settings
from tapeline_spark.trades.batch import BatchProcessor, BatchReport, rows_in_log_order
from tapeline_spark.trades.batch_counts import BatchCounts
from tapeline_spark.trades.inference_client import InferenceClient

log = logging.getLogger(__name__)

OnState = Callable[[str, str | None], None]
_MAX_DELAYS = 2_000
# Lives in the worker process from batch to batch; the globals of a pickled function would not.
_executor_processors: dict[str, BatchProcessor] = {}


def create_processor(settings: Settings, scope: str, on_state: OnState) -> BatchProcessor:
    """Return a processor with its own clients.

    Args:
        settings: of the stream.
        scope: file name of the snapshot.
        on_state: called with (dependency, reason while it is unavailable, or None).
    """
    inference = InferenceClient(
        settings.inference_url,
        settings.predict_timeout_s,
        settings.predict_pause_s,
        lambda reason: on_state("inference", reason),
    )
    sink = ElasticSink(
        settings,
        settings.hold_s,
        settings.bulk_documents,
        lambda reason: on_state("elasticsearch", reason),
    )
    return BatchProcessor(settings, inference, sink, scope)


class DriverExecution:
    """Collects the batch and processes it in the driver."""

    def __init__(self, settings: Settings, on_state: OnState) -> None:
        """Create the processor of this process."""
        self._processor = create_processor(settings, "driver", on_state)

    def run(self, batch: DataFrame) -> BatchReport | None:
        """Process a batch; None if it was empty."""
        rows = rows_in_log_order(batch.toArrow())
        return self._processor.run(rows) if rows else None


class ExecutorExecution:
    """Processes each partition in the task that read it."""

    def __init__(self, settings: Settings) -> None:
        """Keep the settings that travel with the tasks; an executor saves a snapshot after every batch."""
        self._settings = settings.model_copy(update={"snapshot_interval_s": 0.0})

    def run(self, batch: DataFrame) -> BatchReport | None:
        """Process a batch; None if it was empty."""
        process = _partition_function(self._settings.model_dump_json())
        rows = batch.mapInArrow(process, "report string").collect()
        reports = [json.loads(row.report) for row in rows]
        return _merge_reports(reports) if reports else None


def _partition_function(settings_json: str) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def process(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        # Imported by name, so that the worker keeps this module and its processors between batches.
        from tapeline_spark.trades import execution

        yield from execution.process_partition(batches, settings_json)

    return process


def process_partition(batches: Iterator[pa.RecordBatch], settings_json: str) -> Iterator[pa.RecordBatch]:
    """Process the records of one task; yields one row with the report as JSON."""
    received = list(batches)
    rows = rows_in_log_order(pa.Table.from_batches(received)) if received else []
    if not rows:
        return
    scope = f"{rows[0][0]}-{rows[0][1]}"
    processor = _executor_processors.get(scope)
    if processor is None:
        settings = Settings.model_validate_json(settings_json)
        processor = _executor_processors[scope] = create_processor(settings, scope, _log_state)
    report = processor.run(rows)
    text = json.dumps(_to_json(report))
    yield pa.RecordBatch.from_pydict({"report": [text]})


def _log_state(dependency: str, reason: str | None) -> None:
    if reason is not None:
        log.warning("dependency unavailable", extra={"dependency": dependency, "reason": reason})


def _to_json(report: BatchReport) -> dict[str, Any]:
    delays = report.ack_delay_s
    step = max(1, len(delays) // _MAX_DELAYS)
    return {
        "counts": report.counts.as_dict(),
        "stage_s": report.stage_s,
        "ack_delay_s": [round(float(delay), 4) for delay in delays[::step]],
    }


def _merge_reports(reports: list[dict[str, Any]]) -> BatchReport:
    """Add up the partitions; the duration of a stage is that of its slowest partition."""
    total = BatchCounts()
    stage_s: dict[str, float] = {}
    for report in reports:
        counts = BatchCounts(**{k: v for k, v in report["counts"].items() if k != "by_state"})
        counts.by_state.update(report["counts"]["by_state"])
        total.add(counts)
        for stage, seconds in report["stage_s"].items():
            stage_s[stage] = max(stage_s.get(stage, 0.0), seconds)
    delays = np.concatenate([np.array(report["ack_delay_s"]) for report in reports])
    total.check()
    return BatchReport(total, stage_s, delays)

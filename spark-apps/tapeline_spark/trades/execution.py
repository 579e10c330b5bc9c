"""Where the work of a batch is done: in the driver, or in one Python stage over the partitions.

The driver's way spares the Python workers and is the faster one on one machine. The executors' way
scales with them: each Kafka partition is carried by the task that read it, and only counts come back.
Both run processor.py. Spark gives a partition to another worker now and then, so an executor saves
its tails after every batch and a worker that was not the last one loads them.
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
from tapeline_spark.trades.batch import BatchReport, Processor, rows_of
from tapeline_spark.trades.batch_counts import BatchCounts
from tapeline_spark.trades.inference_client import Scorer

log = logging.getLogger(__name__)

OnState = Callable[[str, str | None], None]
_MOST_DELAYS = 2_000
# Kept by the worker process from batch to batch; a function's own globals would be pickled anew.
_executor_processors: dict[str, Processor] = {}


def make_processor(settings: Settings, scope: str, on_state: OnState) -> Processor:
    """Return a processor with its own clients.

    Args:
        settings: of the stream.
        scope: names the tails on disk.
        on_state: told (dependency, why it is away or None).
    """
    scorer = Scorer(
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
    return Processor(settings, scorer, sink, scope)


class DriverShape:
    """Pulls the batch into the driver and works on it there."""

    def __init__(self, settings: Settings, on_state: OnState) -> None:
        """Make the one processor of this process."""
        self._processor = make_processor(settings, "driver", on_state)

    def run(self, batch: DataFrame) -> BatchReport | None:
        """Carry a batch; None where it was empty."""
        rows = rows_of(batch.toArrow())
        return self._processor.run(rows) if rows else None


class ExecutorShape:
    """Carries each partition in the task that read it."""

    def __init__(self, settings: Settings) -> None:
        """Remember the settings that travel with the tasks; an executor saves after every batch."""
        self._settings = settings.model_copy(update={"snapshot_interval_s": 0.0})

    def run(self, batch: DataFrame) -> BatchReport | None:
        """Carry a batch; None where it was empty."""
        carry = _carrier(self._settings.model_dump_json())
        answers = batch.mapInArrow(carry, "report string").collect()
        reports = [json.loads(answer.report) for answer in answers]
        return _merge(reports) if reports else None


def _carrier(settings_json: str) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def carry(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        # By name, so that the worker keeps this module, and the processors in it, between batches.
        from tapeline_spark.trades import execution

        yield from execution.carry_partition(batches, settings_json)

    return carry


def carry_partition(batches: Iterator[pa.RecordBatch], settings_json: str) -> Iterator[pa.RecordBatch]:
    """Carry one task's records; yields one row with the report as JSON."""
    received = list(batches)
    rows = rows_of(pa.Table.from_batches(received)) if received else []
    if not rows:
        return
    scope = f"{rows[0][0]}-{rows[0][1]}"
    processor = _executor_processors.get(scope)
    if processor is None:
        settings = Settings.model_validate_json(settings_json)
        processor = _executor_processors[scope] = make_processor(settings, scope, _log_state)
    report = processor.run(rows)
    text = json.dumps(_plain(report))
    yield pa.RecordBatch.from_pydict({"report": [text]})


def _log_state(dependency: str, reason: str | None) -> None:
    if reason is not None:
        log.warning("dependency away", extra={"dependency": dependency, "reason": reason})


def _plain(report: BatchReport) -> dict[str, Any]:
    delays = report.ack_delay_s
    step = max(1, len(delays) // _MOST_DELAYS)
    return {
        "counts": report.counts.as_dict(),
        "stage_s": report.stage_s,
        "ack_delay_s": [round(float(delay), 4) for delay in delays[::step]],
    }


def _merge(reports: list[dict[str, Any]]) -> BatchReport:
    """Add up the partitions; a stage took as long as its slowest partition."""
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

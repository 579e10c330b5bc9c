"""Duration of a full micro-batch relative to an empty one in one session: our cost above Spark's overhead.

Empty: one record, collected by the driver and dropped. Full: 1,000 trades from bytes to Elasticsearch's response,
including features and predictions.
"""

import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from tapeline_local import paths
from tapeline_local.setup.jvm import Jvm
from tapeline_spark import session
from tapeline_spark.batch_lock import BatchLock
from tapeline_spark.elastic.sink import ElasticSink
from tapeline_spark.settings import Settings
from tapeline_spark.trades import execution

from benchmarks.synthetic_stack import load, running

# Elasticsearch needs some 150,000 documents until its hot code is compiled.
ROWS, BATCHES, WARM_UP = 1_000, 60, 150


def _settings(stack: Any, name: str) -> Settings:
    return Settings(
        kafka_bootstrap=stack.addresses.kafka,
        elasticsearch_url=stack.addresses.elasticsearch,
        inference_url=stack.addresses.inference,
        checkpoint=Path(stack.state.root / "checkpoint" / name),
        jars=paths.JARS / "spark",
        snapshot_interval_s=3600,
    )


def _periods(spark: SparkSession, settings: Settings, rows: int, work: Any) -> list[float]:
    """Return the duration of each batch in ms, after the warm-up."""
    limited = settings.model_copy(update={"max_records_per_batch": rows})

    def on_batch(batch: DataFrame, number: int) -> None:
        work(batch)

    lock = BatchLock()
    query = session.start_trades(spark, limited, lock.wrap(on_batch))
    durations: dict[int, float] = {}
    deadline = time.monotonic() + 180
    while len(durations) < BATCHES + WARM_UP and time.monotonic() < deadline and query.isActive:
        for progress in query.recentProgress:
            if progress["numInputRows"]:
                durations[progress["batchId"]] = float(progress["durationMs"]["triggerExecution"])
        time.sleep(0.2)
    with lock.stop():
        query.stop()
    return [durations[number] for number in sorted(durations)][WARM_UP:]


def measure() -> dict[str, Any]:
    """Return both medians and their ratio."""
    with running("kafka", "elasticsearch", "inference") as stack:
        os.environ["JAVA_HOME"] = Jvm.load(paths.JVM_FILE).launch_home
        load(stack, 20_000, ROWS * (BATCHES + WARM_UP + 5) / 20_000, "micro").wait()
        spark = session.start_session(_settings(stack, "session"))
        sink = ElasticSink(_settings(stack, "sink"), 60.0, 5_000, lambda reason: None)
        sink.prepare(replicas=0, refresh_interval="1s")
        driver = execution.DriverExecution(_settings(stack, "full"), lambda dependency, reason: None)
        empty = _periods(spark, _settings(stack, "empty"), 1, lambda batch: batch.toArrow())
        full = _periods(spark, _settings(stack, "full"), ROWS, driver.run)
        spark.stop()
    medians = {"empty_ms": statistics.median(empty), "full_ms": statistics.median(full)}
    return {**medians, "rows": ROWS, "ratio": round(medians["full_ms"] / medians["empty_ms"], 2)}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(), indent=2) + "\n")

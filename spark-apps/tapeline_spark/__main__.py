"""Runs the stream process: settings, health, Spark session and queries, until SIGTERM."""

import gc
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery
from tapeline.service import health as healths
from tapeline.service import logging as logs
from tapeline.service.clock import now_ms
from tapeline.service.connection import InvalidConnection
from tapeline.service.files import OutdatedState
from tapeline.service.renamed_settings import RenamedSetting
from tapeline.service.signals import set_by_signals

from tapeline_spark import metrics, session
from tapeline_spark.alerts.evaluator import create_evaluator
from tapeline_spark.batch_lock import BatchLock, OnBatch
from tapeline_spark.candles.listener import CandleListener
from tapeline_spark.candles.query import CandleQuery
from tapeline_spark.candles.runner import Runner
from tapeline_spark.elastic.sink import ElasticSink
from tapeline_spark.errors import StreamError
from tapeline_spark.evaluation.evaluator import ScoreEvaluator
from tapeline_spark.kafka import wait_for_topics
from tapeline_spark.reconciliation.reconciler import Reconciler
from tapeline_spark.settings import Settings
from tapeline_spark.trades import execution

log = logging.getLogger("tapeline_spark")

Start = Callable[[SparkSession, Settings, OnBatch], StreamingQuery]

_HEALTH_TIMEOUT_S = 120.0
_TICK_S = 5.0
# Of the reconciler and the score evaluator: each undoes its tick after this time, and batches wait meanwhile.
_TICK_HOLD_S = 5.0
_YOUNG_OBJECTS = 50_000


class Stream:
    """Health, metrics and execution mode, shared by the parts of this process."""

    def __init__(self, settings: Settings, health: healths.Health) -> None:
        """Choose the execution mode of the settings."""
        self._health = health
        if settings.execution == "driver":
            self._execution: execution.DriverExecution | execution.ExecutorExecution = execution.DriverExecution(
                settings, self.report_dependency
            )
        else:
            self._execution = execution.ExecutorExecution(settings)

    def report_dependency(self, dependency: str, reason: str | None) -> None:
        """Record that a dependency is unavailable (with the reason) or available (None)."""
        metrics.DEPENDENCY_UNAVAILABLE.labels(dependency).set(reason is not None)
        self._health.beat()
        if dependency == "elasticsearch":
            if reason is None:
                self._health.set_ready(dependency)
            else:
                self._health.set_unready(dependency, reason)

    def beat(self) -> None:
        """Record a sign of life of this process."""
        self._health.beat()

    def report_waiting(self, reason: str) -> None:
        """Report why the queries cannot start yet."""
        self._health.set_unready("query", reason)
        self.beat()

    def prepare(self, settings: Settings) -> None:
        """Write or check the index templates; retries while Elasticsearch is unavailable."""
        report = partial(self.report_dependency, "elasticsearch")
        sink = ElasticSink(settings, settings.hold_s, settings.bulk_documents, report)
        if settings.templates == "own":
            sink.prepare(settings.replicas, settings.refresh_interval, settings.retention_days)
        else:
            sink.check_prepared()

    def check_queries(self, queries: Sequence[StreamingQuery]) -> None:
        """Record that the queries are alive, and whether they have left initialization."""
        if not any(query.status["message"].startswith("Initializing") for query in queries):
            self._health.set_ready("query")
        self.beat()

    def on_batch(self, batch: DataFrame, number: int) -> None:
        """Process one micro-batch, then record its counts."""
        self._health.beat()
        report = self._execution.run(batch)
        if report is None:
            return
        metrics.count(report.counts)
        for stage, seconds in report.stage_s.items():
            metrics.BATCH_SECONDS.labels(stage).observe(seconds)
        for delay in report.ack_delay_s:
            metrics.ACK_DELAY_SECONDS.observe(delay)
        spent = {f"{stage}_ms": round(seconds * 1000, 1) for stage, seconds in report.stage_s.items()}
        log.info("batch processed", extra={"batch": number, "counts": report.counts.as_dict(), **spent})


def main(*, submitted: bool = False) -> int:
    """Run the stream. Returns 0 after a signal, 1 after an error, which is logged in one line.

    Args:
        submitted: spark-submit has set master, memory and jars, see session.start_session.
    """
    logs.configure("stream", "INFO")
    try:
        settings = Settings()  # type: ignore[call-arg]
        logs.configure("stream", settings.log_level)
        session.require_checkpoint(settings)
    except (RenamedSetting, InvalidConnection, OutdatedState) as error:
        log.error(str(error), extra={"error": type(error).__name__})
        return 1
    return _run_in_session(settings, submitted=submitted)


def _run_in_session(settings: Settings, *, submitted: bool) -> int:
    for verbose in ("py4j", "elastic_transport.transport"):
        logging.getLogger(verbose).setLevel(logging.WARNING)
    health = healths.Health(("elasticsearch", "query"), _HEALTH_TIMEOUT_S)
    server = healths.serve(health, settings.health_host, settings.health_port, metrics.exposition)
    stopping = threading.Event()
    set_by_signals(stopping, signal.SIGTERM, signal.SIGINT)
    stream = Stream(settings, health)
    spark = session.start_session(settings, submitted=submitted)
    _configure_gc()
    log.info("session started", extra={"health_port": server.server_port, "execution": settings.execution})
    try:
        return _run(spark, settings, stream, stopping)
    except (StreamError, InvalidConnection) as error:
        log.error(str(error), extra={"error": type(error).__name__})
        return 1
    finally:
        spark.stop()
        log.info("stream stopped")


def _configure_gc() -> None:
    """Run the cyclic garbage collector rarely: a batch creates tens of thousands of objects without cycles.

    With Python's defaults, reading a page of stored trades takes three times as long, mostly in the collector.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 20)


def _run(spark: SparkSession, settings: Settings, stream: Stream, stopping: threading.Event) -> int:
    if not wait_for_topics.wait_for(settings, settings.needed_topics, stopping, stream.report_waiting):
        return 0
    session.warm_up(spark, settings)
    stream.prepare(settings)
    running: list[tuple[StreamingQuery, BatchLock]] = []

    def start_locked(start: Start, on_batch: OnBatch) -> None:
        lock = BatchLock()
        running.append((start(spark, settings, lock.wrap(on_batch)), lock))

    candles: CandleQuery | None = None
    if settings.queries != "candles":
        start_locked(session.start_trades, stream.on_batch)
    if settings.queries != "trades":
        candles = _candle_query(settings, stream)
        start_locked(session.start_candles, candles.on_batch)
    queries = [query for query, _ in running]
    log.info("queries started", extra={"queries": [query.name for query in queries]})
    try:
        _supervise(queries, candles, stream, stopping)
        failures = [] if stopping.is_set() else [(query.name, query.exception()) for query in queries]
    finally:
        for query, lock in running:
            with lock.stop():
                _stop(query)
    failed = {name: str(failure)[:4000] for name, failure in failures if failure is not None}
    if failed:
        log.error("query failed", extra={"reasons": failed})
    return 1 if failed else 0


def _supervise(
    queries: Sequence[StreamingQuery], candles: CandleQuery | None, stream: Stream, stopping: threading.Event
) -> None:
    """Return when a query has ended or `stopping` is set."""
    due = time.monotonic() + _TICK_S
    while all(query.isActive for query in queries) and not stopping.wait(0.5):
        stream.check_queries(queries)
        if candles is not None and time.monotonic() >= due:
            due = time.monotonic() + _TICK_S
            candles.tick()


def _candle_query(settings: Settings, stream: Stream) -> CandleQuery:
    report = partial(stream.report_dependency, "elasticsearch")
    sink = ElasticSink(settings, settings.hold_s, settings.bulk_documents, report)
    runner = Runner(settings, sink, _listeners(settings, sink), now_ms)
    return CandleQuery(runner, settings.checkpoint, settings.candles_max_records)


def _listeners(settings: Settings, sink: ElasticSink) -> Sequence[CandleListener]:
    """Return the listeners of the candle query, in call order; those of reconciliation and scores have no order."""
    own = ElasticSink(settings, _TICK_HOLD_S, settings.bulk_documents, lambda reason: None)
    return (
        Reconciler(own, settings.late_minutes, settings.recount_s),
        ScoreEvaluator(own, settings.late_minutes),
        create_evaluator(settings, sink, now_ms),
    )


def _stop(query: StreamingQuery) -> None:
    try:
        query.stop()
    except StreamingQueryException as error:
        log.warning("query failed while stopping", extra={"reason": str(error)[:1000]})


if __name__ == "__main__":
    sys.exit(main())

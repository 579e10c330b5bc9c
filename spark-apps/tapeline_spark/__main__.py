"""The stream as a process: settings, health, session, its queries, until it is told to stop."""

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
from tapeline.service.connection import InvalidConnection
from tapeline.service.signals import set_by_signals

from tapeline_spark import metrics, session
from tapeline_spark.alerts import evaluator
from tapeline_spark.batch_lock import Gate, OnBatch
from tapeline_spark.candles.listener import Follower
from tapeline_spark.candles.query import CandleQuery
from tapeline_spark.candles.runner import Runner
from tapeline_spark.elastic.sink import ElasticSink
from tapeline_spark.errors import StreamError
from tapeline_spark.kafka import wait_for_topics
from tapeline_spark.reconciliation import reconciler
from tapeline_spark.settings import Settings
from tapeline_spark.trades import execution
from tapeline_spark.trades.batch import now_ms

log = logging.getLogger("tapeline_spark")

Start = Callable[[SparkSession, Settings, OnBatch], StreamingQuery]

_SILENCE_S = 120.0
_TICK_S = 5.0
_YOUNG_OBJECTS = 50_000


class Stream:
    """What the parts of this process share: health, metrics and the shape of the work."""

    def __init__(self, settings: Settings, health: healths.Health) -> None:
        """Choose the shape the settings name."""
        self._health = health
        if settings.shape == "driver":
            self._shape: execution.DriverShape | execution.ExecutorShape = execution.DriverShape(settings, self.note)
        else:
            self._shape = execution.ExecutorShape(settings)

    def note(self, dependency: str, reason: str | None) -> None:
        """Take note that a dependency is away, or that it answers."""
        metrics.AWAY.labels(dependency).set(reason is not None)
        self._health.beat()
        if dependency == "elasticsearch":
            if reason is None:
                self._health.hold(dependency)
            else:
                self._health.fail(dependency, reason)

    def beat(self) -> None:
        """Say that this process still does something."""
        self._health.beat()

    def wait(self, reason: str) -> None:
        """Take note of what the query cannot begin without."""
        self._health.fail("query", reason)
        self.beat()

    def prepare(self, settings: Settings) -> None:
        """Put the index templates in place, or see that they are, waiting for Elasticsearch if it must."""
        tell = partial(self.note, "elasticsearch")
        sink = ElasticSink(settings, settings.hold_s, settings.bulk_documents, tell)
        if settings.templates == "own":
            sink.prepare(settings.replicas, settings.refresh_interval, settings.retention_days)
        else:
            sink.check_prepared()

    def look(self, queries: Sequence[StreamingQuery]) -> None:
        """Take note that the queries live, and whether they have begun to read."""
        if not any(query.status["message"].startswith("Initializing") for query in queries):
            self._health.hold("query")
        self.beat()

    def on_batch(self, batch: DataFrame, number: int) -> None:
        """Carry one micro-batch and close its books."""
        self._health.beat()
        report = self._shape.run(batch)
        if report is None:
            return
        metrics.count(report.counts)
        for stage, seconds in report.stage_s.items():
            metrics.BATCH_SECONDS.labels(stage).observe(seconds)
        for delay in report.ack_delay_s:
            metrics.ACK_DELAY_SECONDS.observe(delay)
        spent = {f"{stage}_ms": round(seconds * 1000, 1) for stage, seconds in report.stage_s.items()}
        log.info("batch", extra={"batch": number, "books": report.counts.as_dict(), **spent})


def main(*, submitted: bool = False) -> int:
    """Run the stream; 0 after a signal, 1 after an error that a restart may heal.

    Args:
        submitted: spark-submit chose master, memory and jars, see session.start_session.
    """
    settings = Settings()  # type: ignore[call-arg]
    logs.configure("stream", settings.log_level)
    for chatty in ("py4j", "elastic_transport.transport"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    health = healths.Health(("elasticsearch", "query"), _SILENCE_S)
    server = healths.serve(health, settings.health_host, settings.health_port, metrics.exposition)
    stopping = threading.Event()
    set_by_signals(stopping, signal.SIGTERM, signal.SIGINT)
    stream = Stream(settings, health)
    spark = session.start_session(settings, submitted=submitted)
    _tame_collector()
    log.info("session started", extra={"health_port": server.server_port, "shape": settings.shape})
    try:
        return _run(spark, settings, stream, stopping)
    except (StreamError, InvalidConnection) as error:
        log.error(str(error), extra={"error": type(error).__name__})
        return 1
    finally:
        spark.stop()
        log.info("stopped")


def _tame_collector() -> None:
    """Let Python look for cycles rarely: a batch makes tens of thousands of objects, and none of them is in one.

    As it is set by itself, reading a page of trades back takes three times as long, most of it in the collector.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 20)


def _run(spark: SparkSession, settings: Settings, stream: Stream, stopping: threading.Event) -> int:
    if not wait_for_topics.wait_for(settings, settings.needed_topics, stopping, stream.wait):
        return 0
    session.warm_up(spark, settings)
    stream.prepare(settings)
    gated: list[tuple[StreamingQuery, Gate]] = []

    def begin(start: Start, on_batch: OnBatch) -> None:
        gate = Gate()
        gated.append((start(spark, settings, gate.guarding(on_batch)), gate))

    candles: CandleQuery | None = None
    if settings.queries != "candles":
        begin(session.start_trades, stream.on_batch)
    if settings.queries != "trades":
        candles = _candles(settings, stream)
        begin(session.start_candles, candles.on_batch)
    queries = [query for query, _ in gated]
    log.info("started", extra={"queries": [query.name for query in queries]})
    try:
        _watch(queries, candles, stream, stopping)
        failures = [] if stopping.is_set() else [(query.name, query.exception()) for query in queries]
    finally:
        for query, gate in gated:
            with gate.shut():
                _stop(query)
    failed = {name: str(failure)[:4000] for name, failure in failures if failure is not None}
    if failed:
        log.error("query failed", extra={"reasons": failed})
    return 1 if failed else 0


def _watch(
    queries: Sequence[StreamingQuery], candles: CandleQuery | None, stream: Stream, stopping: threading.Event
) -> None:
    """Return when one query has ended, or we are to stop."""
    due = time.monotonic() + _TICK_S
    while all(query.isActive for query in queries) and not stopping.wait(0.5):
        stream.look(queries)
        if candles is not None and time.monotonic() >= due:
            due = time.monotonic() + _TICK_S
            candles.tick()


def _candles(settings: Settings, stream: Stream) -> CandleQuery:
    tell = partial(stream.note, "elasticsearch")
    sink = ElasticSink(settings, settings.hold_s, settings.bulk_documents, tell)
    runner = Runner(settings, sink, _followers(settings, sink), now_ms)
    return CandleQuery(runner, settings.candles_max_records)


def _followers(settings: Settings, sink: ElasticSink) -> Sequence[Follower]:
    """Return what is built on candles, in the order in which it is told."""
    own = ElasticSink(settings, reconciler.HOLD_S, settings.bulk_documents, lambda reason: None)
    return reconciler.Books(own, settings.late_minutes, settings.recount_s), evaluator.make(settings, sink, now_ms)


def _stop(query: StreamingQuery) -> None:
    try:
        query.stop()
    except StreamingQueryException as error:
        log.warning("query ended while it was stopped", extra={"reason": str(error)[:1000]})


if __name__ == "__main__":
    sys.exit(main())

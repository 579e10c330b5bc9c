"""Every metric of the stream."""

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from tapeline_spark.trades.batch_counts import BatchCounts

if TYPE_CHECKING:
    from tapeline_spark.candles.runner import CandleReport

REGISTRY = CollectorRegistry()

RECORDS = Counter(
    "tapeline_stream_records_total",
    "Records of the trade topic, by outcome.",
    ["outcome"],
    registry=REGISTRY,
)
PREDICTIONS = Counter(
    "tapeline_stream_predictions_total",
    "Trades sent to Elasticsearch, by prediction state.",
    ["state"],
    registry=REGISTRY,
)
GAP_REJECT_RECORDS = Counter(
    "tapeline_stream_gap_reject_records_total",
    "Gap and reject records written to Elasticsearch.",
    ["kind"],
    registry=REGISTRY,
)
BATCH_SECONDS = Histogram(
    "tapeline_stream_batch_seconds",
    "Duration of one stage of a batch.",
    ["stage"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
    registry=REGISTRY,
)
# 20 buckets a decade: a percentile is exact within some 12 %.
ACK_DELAY_SECONDS = Histogram(
    "tapeline_stream_ack_delay_seconds",
    "Delay from the producer's produce() to Elasticsearch's response, per trade.",
    buckets=tuple(round(0.01 * 10 ** (i / 20), 5) for i in range(81)),
    registry=REGISTRY,
)
DEPENDENCY_UNAVAILABLE = Gauge(
    "tapeline_stream_dependency_unavailable", "1 while a dependency is unavailable.", ["dependency"], registry=REGISTRY
)
REPLAYED = Counter(
    "tapeline_stream_replayed_records_total", "Records replayed to rebuild lookbacks.", registry=REGISTRY
)
REENCODED = Counter(
    "tapeline_stream_reencoded_records_total",
    "Trade records with fields that this release does not know, stored without them.",
    registry=REGISTRY,
)
CANDLE_RECORDS = Counter(
    "tapeline_stream_candle_records_total",
    "Records of the trade topic in the candle query, by outcome.",
    ["outcome"],
    registry=REGISTRY,
)
CANDLE_DOCUMENTS = Counter(
    "tapeline_stream_candle_documents_total",
    "Candle writes: written, kept (Elasticsearch has a more complete one), absent (no candle to update).",
    ["outcome"],
    registry=REGISTRY,
)
CANDLE_REPLAYED = Counter(
    "tapeline_stream_candle_replayed_records_total", "Records replayed to rebuild minutes.", registry=REGISTRY
)
CANDLE_CLOCK_SECONDS = Gauge(
    "tapeline_stream_candle_clock_seconds",
    "Time of a venue's newest trade in a candle, Unix seconds.",
    ["venue"],
    registry=REGISTRY,
)
CANDLE_BATCH_SECONDS = Histogram(
    "tapeline_stream_candle_batch_seconds",
    "Duration of a batch of the candle query.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
    registry=REGISTRY,
)
RECONCILIATION_MINUTES = Gauge(
    "tapeline_stream_reconciliation_minutes",
    "Minutes still open for reconciliation, over all symbols, by state.",
    ["state"],
    registry=REGISTRY,
)
LATE_COUNTS = Counter(
    "tapeline_stream_late_counts_total",
    "Producer counts that arrived after their minute was final.",
    registry=REGISTRY,
)
ALERTS = Counter(
    "tapeline_stream_alerts_total",
    "Alerts by rule: notified, or only stored because they were too old.",
    ["rule", "outcome"],
    registry=REGISTRY,
)


def count_candles(report: "CandleReport", seconds: float) -> None:
    """Add a finished batch of the candle query to the metrics."""
    for outcome, number in report.outcomes.items():
        CANDLE_RECORDS.labels(outcome).inc(number)
    CANDLE_DOCUMENTS.labels("written").inc(report.written.created)
    CANDLE_DOCUMENTS.labels("kept").inc(report.written.conflict)
    CANDLE_DOCUMENTS.labels("absent").inc(report.written.absent)
    CANDLE_REPLAYED.inc(report.replayed)
    for venue, clock in report.clocks.items():
        CANDLE_CLOCK_SECONDS.labels(venue).set(clock.newest_ms / 1000)
    CANDLE_BATCH_SECONDS.observe(seconds)


def count(batch: BatchCounts) -> None:
    """Add a finished batch of the trade query to the metrics."""
    for outcome in ("read", "unreadable", "duplicate", "created", "conflict", "refused"):
        RECORDS.labels(outcome).inc(getattr(batch, outcome))
    REENCODED.inc(batch.reencoded)
    for state, number in batch.by_state.items():
        PREDICTIONS.labels(state).inc(number)
    GAP_REJECT_RECORDS.labels("gap").inc(batch.gaps)
    GAP_REJECT_RECORDS.labels("reject").inc(batch.rejects)


def exposition() -> tuple[bytes, str]:
    """Return the body and the content type of /metrics."""
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST

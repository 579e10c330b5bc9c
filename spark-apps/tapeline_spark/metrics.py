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
    "Records of the trade topic, by what became of them.",
    ["outcome"],
    registry=REGISTRY,
)
STATES = Counter(
    "tapeline_stream_predictions_total",
    "Trades sent to Elasticsearch, by prediction state.",
    ["state"],
    registry=REGISTRY,
)
BOOKKEEPING = Counter(
    "tapeline_stream_bookkeeping_total",
    "Gaps and rejects carried to Elasticsearch.",
    ["kind"],
    registry=REGISTRY,
)
BATCH_SECONDS = Histogram(
    "tapeline_stream_batch_seconds",
    "Time of one stage of a batch.",
    ["stage"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
    registry=REGISTRY,
)
# Tenth-steps of a decade: fine enough to read a percentile within some 12 %.
ACK_DELAY_SECONDS = Histogram(
    "tapeline_stream_ack_delay_seconds",
    "From the producer's produce() to Elasticsearch's answer, per trade.",
    buckets=tuple(round(0.01 * 10 ** (i / 20), 5) for i in range(81)),
    registry=REGISTRY,
)
AWAY = Gauge("tapeline_stream_away", "1 while a dependency is away.", ["dependency"], registry=REGISTRY)
REREAD = Counter("tapeline_stream_reread_records_total", "Records read again to rebuild tails.", registry=REGISTRY)
CANDLE_RECORDS = Counter(
    "tapeline_stream_candle_records_total",
    "Records of the trade topic as the candles saw them, by what became of them.",
    ["outcome"],
    registry=REGISTRY,
)
CANDLE_DOCUMENTS = Counter(
    "tapeline_stream_candle_documents_total",
    "Writings of candles: written, kept (a fuller one stands), absent (too late, and there is none to note it in).",
    ["outcome"],
    registry=REGISTRY,
)
CANDLE_REREAD = Counter(
    "tapeline_stream_candle_reread_records_total", "Records read again to rebuild minutes.", registry=REGISTRY
)
CANDLE_CLOCK_SECONDS = Gauge(
    "tapeline_stream_candle_clock_seconds", "Time of the newest trade in a candle, Unix time.", registry=REGISTRY
)
CANDLE_BATCH_SECONDS = Histogram(
    "tapeline_stream_candle_batch_seconds",
    "Time of a batch of the candle query.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
    registry=REGISTRY,
)
BOOKS = Gauge(
    "tapeline_stream_books_minutes",
    "Symbols' minutes whose books may still change, by how they stand.",
    ["state"],
    registry=REGISTRY,
)
STRAYS = Counter(
    "tapeline_stream_stray_counts_total",
    "Producers' counts that came for minutes whose books were closed.",
    registry=REGISTRY,
)
ALERTS = Counter(
    "tapeline_stream_alerts_total",
    "Findings of a rule: rung, or only written down because they were old when they were made.",
    ["rule", "outcome"],
    registry=REGISTRY,
)


def count_candles(report: "CandleReport", seconds: float) -> None:
    """Add a finished batch of the candle query to the counters."""
    for outcome, number in report.outcomes.items():
        CANDLE_RECORDS.labels(outcome).inc(number)
    CANDLE_DOCUMENTS.labels("written").inc(report.written.created)
    CANDLE_DOCUMENTS.labels("kept").inc(report.written.conflict)
    CANDLE_DOCUMENTS.labels("absent").inc(report.written.absent)
    CANDLE_REREAD.inc(report.reread)
    CANDLE_CLOCK_SECONDS.set(report.newest_ms / 1000)
    CANDLE_BATCH_SECONDS.observe(seconds)


def count(batch: BatchCounts) -> None:
    """Add a finished batch to the counters."""
    for outcome in ("read", "unreadable", "duplicate", "created", "conflict", "refused"):
        RECORDS.labels(outcome).inc(getattr(batch, outcome))
    for state, number in batch.by_state.items():
        STATES.labels(state).inc(number)
    BOOKKEEPING.labels("gap").inc(batch.gaps)
    BOOKKEEPING.labels("reject").inc(batch.rejects)


def exposition() -> tuple[bytes, str]:
    """Return the body and the content type of /metrics."""
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST

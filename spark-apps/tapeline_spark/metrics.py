"""Every metric of the stream."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from tapeline_spark.counts import BatchCounts

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

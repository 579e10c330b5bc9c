"""Every metric of the board."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

REGISTRY: Final = CollectorRegistry()

CLIENTS: Final = Gauge("tapeline_board_clients", "Open streams", registry=REGISTRY)
POLLERS: Final = Gauge("tapeline_board_pollers", "Different queries that are polled for streams", registry=REGISTRY)
EVENTS: Final = Counter("tapeline_board_events_total", "Events sent to clients", ("event",), registry=REGISTRY)
CONFLATED: Final = Counter(
    "tapeline_board_conflated_events_total",
    "Events that a slow client did not get, because a snapshot replaced them",
    ("event",),
    registry=REGISTRY,
)
SEARCHES: Final = Counter(
    "tapeline_board_searches_total",
    "Searches in Elasticsearch by query and outcome: ok or the error code",
    ("query", "outcome"),
    registry=REGISTRY,
)
SEARCH_S: Final = Histogram(
    "tapeline_board_search_duration_seconds",
    "From sending a search to its response, of successful searches",
    ("query",),
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
    registry=REGISTRY,
)
ELASTICSEARCH_UP: Final = Gauge(
    "tapeline_board_elasticsearch_up", "1 while Elasticsearch is available, else 0", registry=REGISTRY
)


def exposition() -> tuple[bytes, str]:
    """Return the body and the content type of /metrics."""
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST

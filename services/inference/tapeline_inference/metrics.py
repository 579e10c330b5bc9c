"""Every metric of the inference service."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

REGISTRY: Final = CollectorRegistry()

REQUESTS: Final = Counter(
    "tapeline_predict_requests_total",
    "Requests to /predict by body format and outcome: ok or the error code",
    ("format", "outcome"),
    registry=REGISTRY,
)
ROWS: Final = Counter("tapeline_predict_rows_total", "Rows predicted", ("format",), registry=REGISTRY)
DURATION_S: Final = Histogram(
    "tapeline_predict_duration_seconds",
    "From the complete body to the response, of requests that got probabilities",
    ("format",),
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
    registry=REGISTRY,
)
IN_FLIGHT: Final = Gauge("tapeline_predict_running_requests", "Requests to /predict in progress", registry=REGISTRY)
MODEL: Final = Gauge(
    "tapeline_model_info",
    "1 for the model that is served",
    ("digest", "kind", "feature_version", "label_version"),
    registry=REGISTRY,
)
MODEL_AGE_S: Final = Gauge(
    "tapeline_model_age_seconds", "Seconds since the served model was created; NaN without one", registry=REGISTRY
)
MODEL_EXPIRES_S: Final = Gauge(
    "tapeline_model_expires_in_seconds", "Seconds until it expires, negative after; NaN without one", registry=REGISTRY
)
SWAPS: Final = Counter("tapeline_model_swaps_total", "Models taken into service", registry=REGISTRY)
REFUSALS: Final = Counter(
    "tapeline_model_refusals_total", "Bundles refused, by the kind of rule", ("reason",), registry=REGISTRY
)


def exposition() -> tuple[bytes, str]:
    """Return the body and the content type of /metrics."""
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST

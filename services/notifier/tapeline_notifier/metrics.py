"""Prometheus metrics of the notifier.

To add one: add an attribute here; names are `tapeline_notifier_<noun>_<unit>[_total]`.
"""

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """The registry of the notifier and its metrics."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.read = Counter(
            "tapeline_notifier_alerts_read",
            "records read from the topic, by outcome: new, repeated, unmatched by every target, or unreadable",
            ("outcome",),
            registry=self.registry,
        )
        self.finalised = Counter(
            "tapeline_notifier_alerts_finalised",
            "alerts finalised for a target, by outcome: sent, or expired",
            ("target", "outcome"),
            registry=self.registry,
        )
        self.attempts = Counter(
            "tapeline_notifier_delivery_attempts",
            "delivery attempts, by outcome: sent, busy, failed, refused",
            ("target", "outcome"),
            registry=self.registry,
        )
        self.redeliveries = Counter(
            "tapeline_notifier_redeliveries",
            "messages sent although an earlier attempt may have arrived",
            ("target",),
            registry=self.registry,
        )
        self.pending = Gauge(
            "tapeline_notifier_pending_alerts", "alerts not finalised for a target", ("target",), registry=self.registry
        )
        self.latency = Histogram(
            "tapeline_notifier_delivery_latency_seconds",
            "from the raising of an alert to the target's response",
            ("target",),
            buckets=(0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 21_600, 86_400),
            registry=self.registry,
        )

    def page(self) -> tuple[bytes, str]:
        """Return the body and the content type of /metrics."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

"""Every metric of the notifier.

To add one: add an attribute here; names are `tapeline_notifier_<noun>_<unit>[_total]`.
"""

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """The notifier's own registry and what is in it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.read = Counter(
            "tapeline_notifier_alerts_read",
            "records of the topic, by what they were: new, repeated, unwanted by every target, or unreadable",
            ("outcome",),
            registry=self.registry,
        )
        self.settled = Counter(
            "tapeline_notifier_alerts_settled",
            "alerts that a target is done with: sent, or expired unsent",
            ("target", "outcome"),
            registry=self.registry,
        )
        self.tries = Counter(
            "tapeline_notifier_tries",
            "requests, by what they came to: sent, busy, failed, refused",
            ("target", "outcome"),
            registry=self.registry,
        )
        self.repeats = Counter(
            "tapeline_notifier_repeats",
            "messages sent although an earlier try may have arrived",
            ("target",),
            registry=self.registry,
        )
        self.waiting = Gauge(
            "tapeline_notifier_waiting_alerts", "alerts that wait for a target", ("target",), registry=self.registry
        )
        self.delay = Histogram(
            "tapeline_notifier_delay_seconds",
            "from the raising of an alert to the target's answer",
            ("target",),
            buckets=(0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 21_600, 86_400),
            registry=self.registry,
        )

    def page(self) -> tuple[bytes, str]:
        """Return the body and the content type of /metrics."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

"""Every metric of the producer.

To add one: add an attribute here; a name is `tapeline_<noun>_<unit>[_total]`.
"""

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, generate_latest
from tapeline.enums import MarketType


class Metrics:
    """The producer's registry and its metrics."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        by_market_type = ("market_type",)
        self.frames = self._counter("tapeline_frames", "WebSocket frames with trades", by_market_type)
        self.received = self._counter("tapeline_trades_received", "trades received over WebSocket", by_market_type)
        self.duplicates = self._counter("tapeline_trades_duplicate", "trades received more than once", by_market_type)
        self.backfilled = self._counter("tapeline_trades_backfilled", "trades back-filled over REST", by_market_type)
        self.produced = self._counter("tapeline_trades_produced", "trades that Kafka acknowledged", by_market_type)
        self.dropped = self._counter("tapeline_trades_dropped", "trades dropped by a full buffer", by_market_type)
        self.rejects = self._counter("tapeline_rejects", "frames or trades that could not be parsed", by_market_type)
        self.gaps = self._counter("tapeline_gaps", "gaps reported", ("market_type", "reason"))
        self.reconnects = self._counter("tapeline_reconnects", "connections that were closed", by_market_type)
        self.backfill_failures = self._counter(
            "tapeline_backfill_failures", "back-fills without a usable REST response", by_market_type
        )
        self._add_delivery()
        self._add_sharding()
        self.refused_topics = Gauge(
            "tapeline_refused_topics", "topics that the exchange refuses", by_market_type, registry=self.registry
        )
        self.refused_topic = Gauge(
            "tapeline_refused_topic_info", "1 for each refused topic", ("market_type", "symbol"), registry=self.registry
        )
        self.buffer = Gauge(
            "tapeline_buffer_records", "records buffered outside the Kafka client", registry=self.registry
        )
        self.queue = Gauge("tapeline_kafka_queue_records", "records inside the Kafka client", registry=self.registry)
        self.last_trade_age = Gauge(
            "tapeline_last_trade_age_seconds",
            "time since the newest trade was received",
            by_market_type,
            registry=self.registry,
        )

    def _add_delivery(self) -> None:
        self.deliveries_failed = self._counter("tapeline_deliveries_failed", "failed deliveries, which are retried", ())
        self.undeliverable = self._counter(
            "tapeline_records_undeliverable", "records discarded: too large, or too many buffered rejects", ()
        )
        self.counts_failed = self._counter(
            "tapeline_counts_failed", "count records that Kafka did not acknowledge; newer ones follow", ()
        )

    def _add_sharding(self) -> None:
        self.rebalances = self._counter("tapeline_rebalances", "rebalances of the group, by kind", ("kind",))
        self.handovers = self._counter(
            "tapeline_handovers", "shards handed over: claimed by another replica, or timed out", ("outcome",)
        )
        self.owned_shards = Gauge("tapeline_owned_shards", "shards that this replica owns", registry=self.registry)
        self.owned_symbols = Gauge(
            "tapeline_owned_symbols", "symbols that this replica owns", ("market_type",), registry=self.registry
        )
        self.draining_symbols = Gauge(
            "tapeline_draining_symbols",
            "symbols subscribed until another replica claims them",
            registry=self.registry,
        )

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def set_age_source(self, market_type: MarketType, age_s: Callable[[], float]) -> None:
        """Read the age of a market's newest trade from `age_s` at each scrape."""
        self.last_trade_age.labels(market_type).set_function(age_s)

    def render(self) -> tuple[bytes, str]:
        """Return the body and the content type of /metrics."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

"""Every metric of the producer.

To add one: add an attribute here; names are `tapeline_<noun>_<unit>[_total]`.
"""

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, generate_latest


class Metrics:
    """The producer's own registry and what is in it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        by_market_type = ("market_type",)
        self.frames = self._counter("tapeline_frames", "frames with trades, read from the sockets", by_market_type)
        self.received = self._counter("tapeline_trades_received", "trades read from the sockets", by_market_type)
        self.duplicates = self._counter("tapeline_trades_duplicate", "trades that had come before", by_market_type)
        self.backfilled = self._counter("tapeline_trades_backfilled", "trades that REST gave back", by_market_type)
        self.produced = self._counter("tapeline_trades_produced", "trades that Kafka acknowledged", by_market_type)
        self.dropped = self._counter("tapeline_trades_dropped", "trades that no memory was left for", by_market_type)
        self.rejects = self._counter("tapeline_rejects", "frames or trades that could not be read", by_market_type)
        self.gaps = self._counter("tapeline_gaps", "holes reported", ("market_type", "reason"))
        self.reconnects = self._counter("tapeline_reconnects", "connections that ended", by_market_type)
        self.backfill_failures = self._counter(
            "tapeline_backfill_failures", "breaks for which REST gave no usable answer", by_market_type
        )
        self._add_delivery()
        self._add_sharing()
        self.refused_topics = Gauge(
            "tapeline_refused_topics", "topics the exchange refuses", by_market_type, registry=self.registry
        )
        self.refused_topic = Gauge(
            "tapeline_refused_topic_info", "1 for each refused topic", ("market_type", "symbol"), registry=self.registry
        )
        self.buffer = Gauge(
            "tapeline_buffer_records", "records waiting outside the Kafka client", registry=self.registry
        )
        self.queue = Gauge("tapeline_kafka_queue_records", "records inside the Kafka client", registry=self.registry)
        self.last_trade_age = Gauge(
            "tapeline_last_trade_age_seconds",
            "time since the newest trade was read",
            by_market_type,
            registry=self.registry,
        )

    def _add_delivery(self) -> None:
        self.deliveries_failed = self._counter(
            "tapeline_deliveries_failed", "records Kafka gave back, which are sent again", ()
        )
        self.undeliverable = self._counter(
            "tapeline_records_undeliverable", "records given up: too large, or no room for rejects", ()
        )
        self.counts_failed = self._counter(
            "tapeline_counts_failed", "reports of counts that Kafka did not take; newer ones follow", ()
        )

    def _add_sharing(self) -> None:
        self.rebalances = self._counter(
            "tapeline_rebalances", "changes of what the group gave this replica, by kind", ("kind",)
        )
        self.handovers = self._counter(
            "tapeline_handovers", "shares given up, by whether another replica took them up in time", ("end",)
        )
        self.owned_partitions = Gauge(
            "tapeline_owned_partitions", "shares of the symbols that are this replica's", registry=self.registry
        )
        self.owned_symbols = Gauge(
            "tapeline_owned_symbols", "symbols that are this replica's", ("market_type",), registry=self.registry
        )
        self.leaving_symbols = Gauge(
            "tapeline_leaving_symbols",
            "symbols of other replicas, followed until those have taken them up",
            registry=self.registry,
        )

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def watch_age(self, market_type: str, age_s: Callable[[], float]) -> None:
        """Read the age of a market_type's newest trade from `age_s` whenever metrics are asked for."""
        self.last_trade_age.labels(market_type).set_function(age_s)

    def page(self) -> tuple[bytes, str]:
        """Return the body and the content type of /metrics."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

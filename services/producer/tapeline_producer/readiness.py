"""Readiness of the producer: every selected topic is acknowledged on an open connection; Kafka and the group respond.

A refused topic does not make the service unready; /health/ready lists it by name.
A member of a group without a shard is ready, and reports that it owns nothing.
To add a condition: add it to CONDITIONS, and hold or fail it where its state is known.
"""

from collections.abc import Collection, Mapping
from typing import Final

from tapeline.enums import MarketType
from tapeline.instrument import Instrument
from tapeline.service.health import Health

from tapeline_producer.metrics import Metrics

EXCHANGE: Final = "exchange"
KAFKA: Final = "kafka"
GROUP: Final = "group"
CONDITIONS: Final = (EXCHANGE, KAFKA)
_MAX_SILENCE_S: Final = 15.0
_NO_CONNECTION: Final = "selection"


class Readiness(Health):
    """Health, with the state of the connections and the refused topics."""

    def __init__(self, metrics: Metrics, in_group: bool = False) -> None:
        """Start unready, without a connection.

        Args:
            metrics: gauges of refused topics.
            in_group: whether replicas share the symbols.
        """
        super().__init__((*CONDITIONS, GROUP) if in_group else CONDITIONS, _MAX_SILENCE_S)
        self._owns: dict[str, object] | None = {"shards": [], "symbols": 0} if in_group else None
        self._metrics = metrics
        self._waiting: dict[str, str | None] = {}
        self._refused: dict[str, dict[Instrument, str]] = {}
        self._market_types: dict[str, MarketType] = {}

    def add_connection(self, connection: str, market_type: MarketType) -> None:
        """Make a connection part of readiness."""
        self._market_types[connection] = market_type
        self.report_connection(connection, "not connected yet", {})

    def remove_connection(self, connection: str) -> None:
        """Remove a connection from readiness."""
        self.report_connection(connection, None, {})
        del self._waiting[connection]

    def set_owned(self, shards: Collection[int], symbols: int) -> None:
        """Set the owned shards and the number of their symbols, for the response of /health/ready."""
        if self._owns is not None:
            self._owns = {"shards": sorted(shards), "symbols": symbols}

    def report_connection(self, connection: str, waiting: str | None, refused: Mapping[Instrument, str]) -> None:
        """Update the state of a connection.

        Args:
            connection: name of the connection.
            waiting: what it waits for; None if the exchange has acknowledged or refused every topic.
            refused: instruments that the exchange refuses, with its error texts.
        """
        self._waiting[connection] = waiting
        if self._refused.get(connection) != refused:
            self._refused = {**self._refused, connection: dict(refused)}
            self._count_refused(self._market_types[connection])
        self._update_exchange()

    def set_unsubscribed_symbols(self, count: int) -> None:
        """Make readiness wait for symbols that are on no connection yet; 0 if there are none."""
        self._waiting[_NO_CONNECTION] = f"{count} symbols are not subscribed yet" if count else None
        self._update_exchange()

    def _update_exchange(self) -> None:
        """Hold the exchange's condition if no connection waits for anything, or if there is no connection."""
        reasons = [f"{name}: {reason}" for name, reason in self._waiting.items() if reason is not None]
        if reasons:
            self.set_unready(EXCHANGE, "; ".join(reasons))
        else:
            self.set_ready(EXCHANGE)

    def _count_refused(self, market_type: MarketType) -> None:
        refused = {instrument for instruments in self._refused.values() for instrument in instruments}
        self._metrics.refused_topic.clear()
        for instrument in refused:
            self._metrics.refused_topic.labels(instrument.market_type, instrument.symbol).set(1)
        count = sum(instrument.market_type is market_type for instrument in refused)
        self._metrics.refused_topics.labels(market_type).set(count)

    def ready(self) -> tuple[bool, dict[str, object]]:
        """Return the result of Health, and the refused topics by instrument."""
        holds, detail = super().ready()
        refused = {
            str(instrument): reason
            for instruments in self._refused.values()
            for instrument, reason in instruments.items()
        }
        owns = {} if self._owns is None else {"owns": self._owns}
        return holds, {**detail, "refused": refused, **owns}

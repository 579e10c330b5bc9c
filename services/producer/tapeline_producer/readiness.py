"""Readiness of the producer: every wanted topic answered for on a live connection, Kafka and the group there.

A refused topic does not make the service unready, but stands by name in the answer of /health/ready.
A member of a group that was given nothing is ready, and says that it owns nothing.
To add a condition: add it to CONDITIONS and hold or fail it where it is known.
"""

from collections.abc import Collection, Mapping
from typing import Final

from tapeline.service.health import Health

from tapeline_producer.metrics import Metrics

EXCHANGE: Final = "exchange"
KAFKA: Final = "kafka"
GROUP: Final = "group"
CONDITIONS: Final = (EXCHANGE, KAFKA)
_MAX_SILENCE_S: Final = 15.0
_NO_FEED: Final = "selection"


class Status(Health):
    """Health, with the connections and the refused topics behind it."""

    def __init__(self, metrics: Metrics, in_group: bool = False) -> None:
        """Start unready, with no connection.

        Args:
            metrics: where refused topics are counted.
            in_group: whether replicas share the symbols.
        """
        super().__init__((*CONDITIONS, GROUP) if in_group else CONDITIONS, _MAX_SILENCE_S)
        self._owns: dict[str, object] | None = {"partitions": [], "symbols": 0} if in_group else None
        self._metrics = metrics
        self._waiting: dict[str, str | None] = {}
        self._refused: dict[str, dict[str, str]] = {}
        self._market_types: dict[str, str] = {}

    def expect(self, feed: str, market_type: str) -> None:
        """Make a connection part of readiness."""
        self._market_types[feed] = market_type
        self.report(feed, "not connected yet", {})

    def dismiss(self, feed: str) -> None:
        """Take a connection out of readiness."""
        self.report(feed, None, {})
        del self._waiting[feed]

    def own(self, partitions: Collection[int], symbols: int) -> None:
        """Say what the group gave this replica, for the answer of /health/ready."""
        if self._owns is not None:
            self._owns = {"partitions": sorted(partitions), "symbols": symbols}

    def report(self, feed: str, waiting: str | None, refused: Mapping[str, str]) -> None:
        """Take the state of a connection.

        Args:
            feed: name of the connection.
            waiting: what it waits for; None where every topic is answered for.
            refused: symbols the exchange refuses, with its words.
        """
        self._waiting[feed] = waiting
        if self._refused.get(feed) != refused:
            self._refused = {**self._refused, feed: dict(refused)}
            self._count(self._market_types[feed])
        self.settle()

    def expect_symbols(self, count: int) -> None:
        """Make readiness wait for symbols that are on no connection yet; 0: there are none."""
        self._waiting[_NO_FEED] = f"{count} symbols are to be followed" if count else None
        self.settle()

    def settle(self) -> None:
        """Say whether every connection there is to be has all it waits for; none at all is as good."""
        reasons = [f"{name}: {reason}" for name, reason in self._waiting.items() if reason is not None]
        if reasons:
            self.fail(EXCHANGE, "; ".join(reasons))
        else:
            self.hold(EXCHANGE)

    def _count(self, market_type: str) -> None:
        names = {(self._market_types[feed], symbol) for feed, symbols in self._refused.items() for symbol in symbols}
        self._metrics.refused_topic.clear()
        for name in names:
            self._metrics.refused_topic.labels(*name).set(1)
        self._metrics.refused_topics.labels(market_type).set(sum(name[0] == market_type for name in names))

    def ready(self) -> tuple[bool, dict[str, object]]:
        """Return what Health says, and the refused topics by name."""
        holds, detail = super().ready()
        refused = {
            f"{self._market_types[feed]} {symbol}": reason
            for feed, symbols in self._refused.items()
            for symbol, reason in symbols.items()
        }
        owns = {} if self._owns is None else {"owns": self._owns}
        return holds, {**detail, "refused": refused, **owns}

"""Readiness of the producer: every wanted topic answered for on a live connection, and Kafka there.

A refused topic does not make the service unready, but stands by name in the answer of /health/ready.
To add a condition: add it to CONDITIONS and hold or fail it where it is known.
"""

from collections.abc import Mapping
from typing import Final

from tapeline.health import Health

from tapeline_producer.metrics import Metrics

EXCHANGE: Final = "exchange"
KAFKA: Final = "kafka"
CONDITIONS: Final = (EXCHANGE, KAFKA)
_MAX_SILENCE_S: Final = 15.0


class Status(Health):
    """Health, with the connections and the refused topics behind it."""

    def __init__(self, metrics: Metrics) -> None:
        """Start unready, with no connection.

        Args:
            metrics: where refused topics are counted.
        """
        super().__init__(CONDITIONS, _MAX_SILENCE_S)
        self._metrics = metrics
        self._waiting: dict[str, str | None] = {}
        self._refused: dict[str, dict[str, str]] = {}
        self._categories: dict[str, str] = {}

    def expect(self, feed: str, category: str) -> None:
        """Make a connection part of readiness."""
        self._categories[feed] = category
        self.report(feed, "not connected yet", {})

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
            self._count(self._categories[feed])
        reasons = [f"{name}: {reason}" for name, reason in self._waiting.items() if reason is not None]
        if reasons:
            self.fail(EXCHANGE, "; ".join(reasons))
        else:
            self.hold(EXCHANGE)

    def _count(self, category: str) -> None:
        names = {(self._categories[feed], symbol) for feed, symbols in self._refused.items() for symbol in symbols}
        self._metrics.refused_topic.clear()
        for name in names:
            self._metrics.refused_topic.labels(*name).set(1)
        self._metrics.refused_topics.labels(category).set(sum(name[0] == category for name in names))

    def ready(self) -> tuple[bool, dict[str, object]]:
        """Return what Health says, and the refused topics by name."""
        holds, detail = super().ready()
        refused = {
            f"{self._categories[feed]} {symbol}": reason
            for feed, symbols in self._refused.items()
            for symbol, reason in symbols.items()
        }
        return holds, {**detail, "refused": refused}

"""The subscriptions of one connection: what was asked, answered, refused, and what to ask next.

Pure: time is an argument, feed.py sends and receives.
The exchange refuses a request as a whole for one bad topic, and its answers name the request only.
To read another refusal: extend `_refused`; texts are in the exchange's error messages.
"""

import itertools
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tapeline_producer import bybit
from tapeline_producer.errors import AckMissingError


class Request(NamedTuple):
    """A subscribe request under way."""

    req_id: str
    topics: tuple[str, ...]
    sent_at: float
    attempt: int


class Refusal(NamedTuple):
    """Why a topic is not served, and when it is asked for again (loop time, s)."""

    reason: str
    retry_at: float


class Subscriptions:
    """What one connection is subscribed to, and is on its way to be."""

    def __init__(
        self, category: str, symbols: Iterable[str], unlisted: Mapping[str, str], ack_s: float, retry_s: float
    ) -> None:
        """Start unconnected.

        Args:
            category: market, which decides the size of a request.
            symbols: what to follow.
            unlisted: symbols, with the reason, that are refused from the start.
            ack_s: seconds an answer may take.
            retry_s: seconds after which a refused topic is asked for again.
        """
        self._category = category
        self._ack_s = ack_s
        self._retry_s = retry_s
        self.symbols = frozenset(symbols) | frozenset(unlisted)
        self._wanted = [bybit.topic(symbol) for symbol in dict.fromkeys(symbols)]
        self._refusals = {bybit.topic(symbol): Refusal(reason, 0.0) for symbol, reason in unlisted.items()}
        self._numbers = itertools.count(1)
        self._queue: list[tuple[tuple[str, ...], int]] = []
        self._pending: dict[str, Request] = {}
        self._confirmed: set[str] = set()

    def opened(self, now: float) -> None:
        """Note a fresh connection: nothing is subscribed on it."""
        self._pending.clear()
        self._confirmed.clear()
        self._refusals = {topic: Refusal(old.reason, now + self._retry_s) for topic, old in self._refusals.items()}
        asked = [topic for topic in self._wanted if topic not in self._refusals]
        self._queue = [(batch, 1) for batch in bybit.batches(self._category, asked)]

    def due(self, now: float) -> list[Request]:
        """Return the requests to send now.

        Raises:
            AckMissingError: a request was not answered twice.
        """
        for request in [r for r in self._pending.values() if now - r.sent_at > self._ack_s]:
            if request.attempt > 1:
                raise AckMissingError(request.topics, self._ack_s)
            del self._pending[request.req_id]
            self._queue.append((request.topics, request.attempt + 1))
        for topic, refusal in self._refusals.items():
            if now >= refusal.retry_at:
                self._refusals[topic] = refusal._replace(retry_at=now + self._retry_s)
                self._queue.append(((topic,), 1))
        queue, self._queue = self._queue, []
        requests = [Request(str(next(self._numbers)), topics, now, attempt) for topics, attempt in queue]
        self._pending.update((request.req_id, request) for request in requests)
        return requests

    def answered(self, ack: bybit.Ack, now: float) -> tuple[list[str], dict[str, str]]:
        """Take an answer of the exchange.

        Returns:
            The symbols that are subscribed now, and those newly refused with the exchange's words.
        """
        request = self._request_of(ack)
        if request is None:
            return [], {}
        del self._pending[request.req_id]
        if ack.success:
            return self._confirm(request.topics), {}
        named = bybit.topics_named(ack.text) & set(request.topics)
        rest = tuple(topic for topic in request.topics if topic not in named)
        if "already subscribed" in ack.text and (named or not rest[1:]):
            self._ask_again(rest if named else ())
            return self._confirm(tuple(named) or request.topics), {}
        if not named and len(rest) > 1:
            self._queue.extend(((topic,), 1) for topic in rest)
            return [], {}
        self._ask_again(rest if named else ())
        return [], self._refused(named or request.topics, ack.text, now)

    def _ask_again(self, topics: tuple[str, ...]) -> None:
        if topics:
            self._queue.append((topics, 1))

    def _request_of(self, ack: bybit.Ack) -> Request | None:
        """Find the request of an answer; spot leaves the number out of some, then the named topic or age decides."""
        if ack.req_id:
            return self._pending.get(ack.req_id)
        named = bybit.topics_named(ack.text)
        owners = [r for r in self._pending.values() if named & set(r.topics)] if named else []
        return next(iter(owners or self._pending.values()), None)

    def _confirm(self, topics: Iterable[str]) -> list[str]:
        fresh = [topic for topic in topics if topic not in self._confirmed]
        self._confirmed.update(fresh)
        for topic in fresh:
            if self._refusals.pop(topic, None) is not None and topic not in self._wanted:
                self._wanted.append(topic)
        return [_symbol(topic) for topic in fresh]

    def _refused(self, topics: Iterable[str], text: str, now: float) -> dict[str, str]:
        fresh = dict.fromkeys(topics, text or "refused without a reason")
        new = {_symbol(topic): reason for topic, reason in fresh.items() if topic not in self._refusals}
        self._refusals.update((topic, Refusal(reason, now + self._retry_s)) for topic, reason in fresh.items())
        return new

    @property
    def refused(self) -> dict[str, str]:
        """The symbols that the exchange does not serve, with its words."""
        return {_symbol(topic): refusal.reason for topic, refusal in self._refusals.items()}

    @property
    def waiting(self) -> list[str]:
        """The symbols that were neither confirmed nor refused on this connection."""
        return [
            _symbol(topic) for topic in self._wanted if topic not in self._confirmed and topic not in self._refusals
        ]


def _symbol(topic: str) -> str:
    return topic.removeprefix(bybit.TOPIC_PREFIX)

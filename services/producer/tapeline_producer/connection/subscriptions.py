"""Tracks the subscriptions of one connection: requested, acknowledged and refused topics, and the next requests.

Pure: time is an argument; connection.py sends and receives.
The exchange refuses a request as a whole for one bad topic, and its response names the request only.
To parse another refusal: extend `on_ack`; the texts are among the exchange's error messages.
"""

import itertools
from collections.abc import Container, Iterable, Mapping
from functools import partial
from typing import NamedTuple

from tapeline.enums import MarketType

from tapeline_producer.errors import AckMissingError
from tapeline_producer.exchange.bybit import messages


class PendingRequest(NamedTuple):
    """A request that was sent and is not acknowledged yet."""

    req_id: str
    operation: messages.Operation
    topics: tuple[str, ...]
    sent_at: float
    attempt: int


class Refusal(NamedTuple):
    """Why the exchange refuses a topic, and when it is requested again (loop time, s)."""

    reason: str
    retry_at: float


class _QueuedRequest(NamedTuple):
    """A request to be sent."""

    operation: messages.Operation
    topics: tuple[str, ...]
    attempt: int = 1


class Subscriptions:
    """The topics of one connection, subscribed or about to be."""

    def __init__(self, market_type: MarketType, ack_s: float, retry_s: float) -> None:
        """Start unconnected and without a symbol.

        Args:
            market_type: market, which decides the size of a request.
            ack_s: time-out of an acknowledgement, s.
            retry_s: seconds after which a refused topic is requested again.
        """
        self._market_type = market_type
        self._ack_s = ack_s
        self._retry_s = retry_s
        self._wanted: dict[str, None] = {}
        self._refusals: dict[str, Refusal] = {}
        self._unsubscribed: set[str] = set()
        self._numbers = itertools.count(1)
        self._queue: list[_QueuedRequest] = []
        self._in_flight: dict[str, PendingRequest] = {}
        self._confirmed: set[str] = set()
        self.expected: frozenset[str] = frozenset()
        """Symbols whose trades may arrive: the wanted ones, and those unsubscribed on this connection."""

    def add(self, symbols: Iterable[str], unlisted: Mapping[str, str], now: float) -> None:
        """Add symbols.

        Args:
            symbols: symbols to request.
            unlisted: symbols, with the reason, that are refused from the start.
            now: loop time, s.
        """
        fresh = [messages.trade_topic(symbol) for symbol in dict.fromkeys(symbols)]
        self._wanted.update(dict.fromkeys(fresh))
        retry_at = now + self._retry_s
        self._refusals.update(
            (messages.trade_topic(symbol), Refusal(reason, retry_at)) for symbol, reason in unlisted.items()
        )
        self._unsubscribed.difference_update((*self._wanted, *self._refusals))
        self._queue_topics("subscribe", fresh)
        self._update_expected()

    def remove(self, symbols: Iterable[str]) -> None:
        """Remove symbols, and unsubscribe those that were requested."""
        topics = dict.fromkeys(topic for topic in map(messages.trade_topic, symbols) if self._is_wanted(topic))
        in_flight = self._topics_in_flight()
        self._queue = [queued for queued in map(partial(_without_topics, topics), self._queue) if queued.topics]
        requested = [topic for topic in topics if topic in self._confirmed or topic in in_flight]
        self._queue_topics("unsubscribe", requested)
        self._unsubscribed.update(topics)
        self._confirmed.difference_update(topics)
        for topic in topics:
            self._wanted.pop(topic, None)
            self._refusals.pop(topic, None)
        self._update_expected()

    def _queue_topics(self, operation: messages.Operation, topics: list[str]) -> None:
        self._queue.extend(
            _QueuedRequest(operation, batch) for batch in messages.request_batches(self._market_type, topics)
        )

    def _topics_in_flight(self) -> set[str]:
        return {topic for request in self._in_flight.values() for topic in request.topics}

    def _is_wanted(self, topic: str) -> bool:
        return topic in self._wanted or topic in self._refusals

    def _update_expected(self) -> None:
        self.expected = frozenset(_symbol(topic) for topic in (*self._wanted, *self._refusals, *self._unsubscribed))

    @property
    def symbols(self) -> frozenset[str]:
        """The wanted symbols, refused or not."""
        return frozenset(_symbol(topic) for topic in (*self._wanted, *self._refusals))

    def is_wanted(self, symbol: str) -> bool:
        """Return whether a symbol is still wanted."""
        return self._is_wanted(messages.trade_topic(symbol))

    def is_acknowledged(self, symbol: str) -> bool:
        """Return whether the exchange has acknowledged or refused a symbol on this connection."""
        topic = messages.trade_topic(symbol)
        return topic in self._confirmed or topic in self._refusals

    def on_open(self, now: float) -> None:
        """Handle a new connection: nothing is subscribed on it."""
        self.on_close()
        self._unsubscribed.clear()
        self._refusals = {topic: Refusal(old.reason, now + self._retry_s) for topic, old in self._refusals.items()}
        self._queue_topics("subscribe", [topic for topic in self._wanted if topic not in self._refusals])
        self._update_expected()

    def on_close(self) -> None:
        """Handle the end of the connection: drop its requests and confirmations."""
        self._in_flight.clear()
        self._confirmed.clear()
        self._queue.clear()

    def due_requests(self, now: float) -> list[PendingRequest]:
        """Return the requests to send now.

        Raises:
            AckMissingError: a request was not acknowledged twice.
        """
        for request in [r for r in self._in_flight.values() if now - r.sent_at > self._ack_s]:
            if request.attempt > 1:
                raise AckMissingError(request.topics, self._ack_s)
            del self._in_flight[request.req_id]
            is_needed = self._is_wanted if request.operation == "subscribe" else self._unsubscribed.__contains__
            topics = tuple(filter(is_needed, request.topics))
            if topics:
                self._queue.append(_QueuedRequest(request.operation, topics, request.attempt + 1))
        for topic, refusal in self._refusals.items():
            if now >= refusal.retry_at:
                self._refusals[topic] = refusal._replace(retry_at=now + self._retry_s)
                self._queue.append(_QueuedRequest("subscribe", (topic,)))
        queue, self._queue = self._queue, []
        requests = [PendingRequest(str(next(self._numbers)), q.operation, q.topics, now, q.attempt) for q in queue]
        self._in_flight.update((request.req_id, request) for request in requests)
        return requests

    def on_ack(self, ack: messages.Ack, now: float) -> tuple[list[str], dict[str, str]]:
        """Handle the response to a request.

        Returns:
            The newly subscribed symbols, and the newly refused ones with the exchange's error text.
        """
        request = self._request_of(ack)
        if request is None:
            return [], {}
        del self._in_flight[request.req_id]
        if request.operation == "unsubscribe":
            if not ack.success and request.topics[1:]:
                self._queue.extend(_QueuedRequest("unsubscribe", (topic,)) for topic in request.topics)
            return [], {}
        if ack.success:
            return self._confirm(request.topics), {}
        named = messages.topics_in_text(ack.text) & set(request.topics)
        rest = tuple(topic for topic in request.topics if topic not in named)
        if "already subscribed" in ack.text and (named or not rest[1:]):
            self._queue_again(rest if named else ())
            return self._confirm(tuple(named) or request.topics), {}
        if not named and len(rest) > 1:
            self._queue.extend(_QueuedRequest("subscribe", (topic,)) for topic in rest)
            return [], {}
        self._queue_again(rest if named else ())
        return [], self._refuse(named or request.topics, ack.text, now)

    def _queue_again(self, topics: tuple[str, ...]) -> None:
        if topics:
            self._queue.append(_QueuedRequest("subscribe", topics))

    def _request_of(self, ack: messages.Ack) -> PendingRequest | None:
        """Find the request of a response; spot omits the number in some: then the named topic or the age decides."""
        if ack.req_id:
            return self._in_flight.get(ack.req_id)
        named = messages.topics_in_text(ack.text)
        matches = [r for r in self._in_flight.values() if named & set(r.topics)] if named else []
        return next(iter(matches or self._in_flight.values()), None)

    def _confirm(self, topics: Iterable[str]) -> list[str]:
        # A request in flight takes effect after this response: it may unsubscribe the topic and subscribe it again.
        later = {topic for queued in self._queue for topic in queued.topics} | self._topics_in_flight()
        wanted = [topic for topic in topics if self._is_wanted(topic) and topic not in later]
        fresh = [topic for topic in wanted if topic not in self._confirmed]
        self._confirmed.update(fresh)
        for topic in fresh:
            if self._refusals.pop(topic, None) is not None:
                self._wanted[topic] = None
        return [_symbol(topic) for topic in fresh]

    def _refuse(self, topics: Iterable[str], text: str, now: float) -> dict[str, str]:
        wanted = filter(self._is_wanted, topics)
        fresh = dict.fromkeys(wanted, text or "refused without a reason")
        new = {_symbol(topic): reason for topic, reason in fresh.items() if topic not in self._refusals}
        self._refusals.update((topic, Refusal(reason, now + self._retry_s)) for topic, reason in fresh.items())
        return new

    @property
    def refused(self) -> dict[str, str]:
        """The symbols that the exchange refuses, with its error text."""
        return {_symbol(topic): refusal.reason for topic, refusal in self._refusals.items()}

    @property
    def unacknowledged(self) -> list[str]:
        """The symbols that were neither confirmed nor refused on this connection."""
        return [
            _symbol(topic) for topic in self._wanted if topic not in self._confirmed and topic not in self._refusals
        ]


def _without_topics(topics: Container[str], queued: _QueuedRequest) -> _QueuedRequest:
    """Return a request without the removed topics; an unsubscribe request stays as it is."""
    if queued.operation == "unsubscribe":
        return queued
    return queued._replace(topics=tuple(topic for topic in queued.topics if topic not in topics))


def _symbol(topic: str) -> str:
    return topic.removeprefix(messages.TOPIC_PREFIX)

"""The subscriptions of one connection: what was asked, answered, refused, and what to ask next.

Pure: time is an argument, feed.py sends and receives.
The exchange refuses a request as a whole for one bad topic, and its answers name the request only.
To read another refusal: extend `_refused`; texts are in the exchange's error messages.
"""

import itertools
from collections.abc import Container, Iterable, Mapping
from functools import partial
from typing import NamedTuple

from tapeline_producer.errors import AckMissingError
from tapeline_producer.exchange.bybit import messages


class Request(NamedTuple):
    """A request under way."""

    req_id: str
    operation: messages.Operation
    topics: tuple[str, ...]
    sent_at: float
    attempt: int


class Refusal(NamedTuple):
    """Why a topic is not served, and when it is asked for again (loop time, s)."""

    reason: str
    retry_at: float


class _Wish(NamedTuple):
    """A request to be sent."""

    operation: messages.Operation
    topics: tuple[str, ...]
    attempt: int = 1


class Subscriptions:
    """What one connection is subscribed to, and is on its way to be."""

    def __init__(self, market_type: str, ack_s: float, retry_s: float) -> None:
        """Start unconnected and with nothing to follow.

        Args:
            market_type: market, which decides the size of a request.
            ack_s: seconds an answer may take.
            retry_s: seconds after which a refused topic is asked for again.
        """
        self._market_type = market_type
        self._ack_s = ack_s
        self._retry_s = retry_s
        self._wanted: dict[str, None] = {}
        self._refusals: dict[str, Refusal] = {}
        self._dropped: set[str] = set()
        self._numbers = itertools.count(1)
        self._queue: list[_Wish] = []
        self._pending: dict[str, Request] = {}
        self._confirmed: set[str] = set()
        self.readable: frozenset[str] = frozenset()
        """Symbols whose trades may come: the followed ones, and on this connection those that were once."""

    def add(self, symbols: Iterable[str], unlisted: Mapping[str, str], now: float) -> None:
        """Follow more symbols.

        Args:
            symbols: what to ask for.
            unlisted: symbols, with the reason, that are refused from the start.
            now: loop time, s.
        """
        fresh = [messages.topic(symbol) for symbol in dict.fromkeys(symbols)]
        self._wanted.update(dict.fromkeys(fresh))
        retry_at = now + self._retry_s
        self._refusals.update(
            (messages.topic(symbol), Refusal(reason, retry_at)) for symbol, reason in unlisted.items()
        )
        self._dropped.difference_update((*self._wanted, *self._refusals))
        self._queue.extend(_Wish("subscribe", batch) for batch in messages.batches(self._market_type, fresh))
        self._renew()

    def remove(self, symbols: Iterable[str]) -> None:
        """Follow these symbols no more."""
        topics = dict.fromkeys(topic for topic in map(messages.topic, symbols) if self._is_followed(topic))
        on_the_wire = self._on_the_wire()
        self._queue = [wish for wish in map(partial(_without, topics), self._queue) if wish.topics]
        asked = [topic for topic in topics if topic in self._confirmed or topic in on_the_wire]
        self._queue.extend(_Wish("unsubscribe", batch) for batch in messages.batches(self._market_type, asked))
        self._dropped.update(topics)
        self._confirmed.difference_update(topics)
        for topic in topics:
            self._wanted.pop(topic, None)
            self._refusals.pop(topic, None)
        self._renew()

    def _on_the_wire(self) -> set[str]:
        return {topic for request in self._pending.values() for topic in request.topics}

    def _is_followed(self, topic: str) -> bool:
        return topic in self._wanted or topic in self._refusals

    def _renew(self) -> None:
        self.readable = frozenset(_symbol(topic) for topic in (*self._wanted, *self._refusals, *self._dropped))

    @property
    def symbols(self) -> frozenset[str]:
        """What is followed, refused or not."""
        return frozenset(_symbol(topic) for topic in (*self._wanted, *self._refusals))

    def is_followed(self, symbol: str) -> bool:
        """Return whether a trade that came is of a symbol that is still followed."""
        return self._is_followed(messages.topic(symbol))

    def is_answered(self, symbol: str) -> bool:
        """Return whether the exchange has said yes or no to a symbol on this connection."""
        topic = messages.topic(symbol)
        return topic in self._confirmed or topic in self._refusals

    def opened(self, now: float) -> None:
        """Note a fresh connection: nothing is subscribed on it."""
        self.closed()
        self._dropped.clear()
        self._refusals = {topic: Refusal(old.reason, now + self._retry_s) for topic, old in self._refusals.items()}
        asked = [topic for topic in self._wanted if topic not in self._refusals]
        self._queue = [_Wish("subscribe", batch) for batch in messages.batches(self._market_type, asked)]
        self._renew()

    def closed(self) -> None:
        """Note that the connection is gone, and what was confirmed on it."""
        self._pending.clear()
        self._confirmed.clear()
        self._queue.clear()

    def due(self, now: float) -> list[Request]:
        """Return the requests to send now.

        Raises:
            AckMissingError: a request was not answered twice.
        """
        for request in [r for r in self._pending.values() if now - r.sent_at > self._ack_s]:
            if request.attempt > 1:
                raise AckMissingError(request.topics, self._ack_s)
            del self._pending[request.req_id]
            is_wished = self._is_followed if request.operation == "subscribe" else self._dropped.__contains__
            topics = tuple(filter(is_wished, request.topics))
            if topics:
                self._queue.append(_Wish(request.operation, topics, request.attempt + 1))
        for topic, refusal in self._refusals.items():
            if now >= refusal.retry_at:
                self._refusals[topic] = refusal._replace(retry_at=now + self._retry_s)
                self._queue.append(_Wish("subscribe", (topic,)))
        queue, self._queue = self._queue, []
        requests = [Request(str(next(self._numbers)), w.operation, w.topics, now, w.attempt) for w in queue]
        self._pending.update((request.req_id, request) for request in requests)
        return requests

    def answered(self, ack: messages.Ack, now: float) -> tuple[list[str], dict[str, str]]:
        """Take an answer of the exchange.

        Returns:
            The symbols that are subscribed now, and those newly refused with the exchange's words.
        """
        request = self._request_of(ack)
        if request is None:
            return [], {}
        del self._pending[request.req_id]
        if request.operation == "unsubscribe":
            if not ack.success and request.topics[1:]:
                self._queue.extend(_Wish("unsubscribe", (topic,)) for topic in request.topics)
            return [], {}
        if ack.success:
            return self._confirm(request.topics), {}
        named = messages.topics_named(ack.text) & set(request.topics)
        rest = tuple(topic for topic in request.topics if topic not in named)
        if "already subscribed" in ack.text and (named or not rest[1:]):
            self._ask_again(rest if named else ())
            return self._confirm(tuple(named) or request.topics), {}
        if not named and len(rest) > 1:
            self._queue.extend(_Wish("subscribe", (topic,)) for topic in rest)
            return [], {}
        self._ask_again(rest if named else ())
        return [], self._refused(named or request.topics, ack.text, now)

    def _ask_again(self, topics: tuple[str, ...]) -> None:
        if topics:
            self._queue.append(_Wish("subscribe", topics))

    def _request_of(self, ack: messages.Ack) -> Request | None:
        """Find the request of an answer; spot leaves the number out of some, then the named topic or age decides."""
        if ack.req_id:
            return self._pending.get(ack.req_id)
        named = messages.topics_named(ack.text)
        owners = [r for r in self._pending.values() if named & set(r.topics)] if named else []
        return next(iter(owners or self._pending.values()), None)

    def _confirm(self, topics: Iterable[str]) -> list[str]:
        # What is on the way for a topic comes after this answer: an end, and perhaps another beginning.
        later = {topic for wish in self._queue for topic in wish.topics} | self._on_the_wire()
        followed = [topic for topic in topics if self._is_followed(topic) and topic not in later]
        fresh = [topic for topic in followed if topic not in self._confirmed]
        self._confirmed.update(fresh)
        for topic in fresh:
            if self._refusals.pop(topic, None) is not None:
                self._wanted[topic] = None
        return [_symbol(topic) for topic in fresh]

    def _refused(self, topics: Iterable[str], text: str, now: float) -> dict[str, str]:
        followed = filter(self._is_followed, topics)
        fresh = dict.fromkeys(followed, text or "refused without a reason")
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


def _without(topics: Container[str], wish: _Wish) -> _Wish:
    """Return a request without topics that are not wanted any more; ends that were to be asked for stay."""
    if wish.operation == "unsubscribe":
        return wish
    return wish._replace(topics=tuple(topic for topic in wish.topics if topic not in topics))


def _symbol(topic: str) -> str:
    return topic.removeprefix(messages.TOPIC_PREFIX)

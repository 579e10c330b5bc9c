"""The connections: as many as the symbols need, each symbol on one of them.

Not here: which symbols (roster.py), what happens on a connection (feed.py).
The exchange limits the characters of topics a connection, so a symbol goes to the first one with room.
To spread symbols otherwise: `_room_for`.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tapeline_producer.connection.connection import Feed
from tapeline_producer.exchange.bybit import messages
from tapeline_producer.metrics import Metrics
from tapeline_producer.pipeline import Intake
from tapeline_producer.readiness import Status
from tapeline_producer.settings import Settings


class Pool:
    """All connections of one process, and their tasks."""

    def __init__(
        self, settings: Settings, intake: Intake, status: Status, metrics: Metrics, clock_ms: Callable[[], int]
    ) -> None:
        """Start with none; see Feed for the arguments."""
        self._settings = settings
        self._intake = intake
        self._status = status
        self._metrics = metrics
        self._clock_ms = clock_ms
        self._feeds: dict[str, list[Feed]] = {market_type: [] for market_type in settings.market_types}
        self._tasks: dict[Feed, asyncio.Task[None]] = {}
        self._numbers = {market_type: itertools.count(1) for market_type in settings.market_types}
        self.failed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        """Done, with the error, when a connection's task ended by a mistake of ours."""

    def add(self, market_type: str, symbols: Iterable[str], unlisted: Mapping[str, str]) -> None:
        """Follow symbols.

        Args:
            market_type: market.
            symbols: in the order in which they share a connection.
            unlisted: symbols, with the reason, that are tried later.
        """
        added: dict[Feed, tuple[list[str], dict[str, str]]] = {}
        room: dict[Feed, int] = {feed: _room(feed.symbols) for feed in self._feeds[market_type]}
        for symbol in (*unlisted, *symbols):
            feed = self._room_for(market_type, messages.args_characters(symbol), room)
            listed, refused = added.setdefault(feed, ([], {}))
            if symbol in unlisted:
                refused[symbol] = unlisted[symbol]
            else:
                listed.append(symbol)
        for feed, (listed, refused) in added.items():
            feed.add(listed, refused)
            if feed not in self._tasks:
                self._tasks[feed] = asyncio.create_task(feed.run())
                self._tasks[feed].add_done_callback(self._ended)

    def _room_for(self, market_type: str, characters: int, room: dict[Feed, int]) -> Feed:
        """Return a connection with so much room, a new one if need be, and take the room up."""
        feed = next((one for one, left in room.items() if left >= characters), None)
        if feed is None:
            name = f"{market_type}-{next(self._numbers[market_type])}"
            feed = Feed(name, market_type, self._settings, self._intake, self._status, self._metrics, self._clock_ms)
            self._feeds[market_type].append(feed)
            room[feed] = _room(())
        room[feed] -= characters
        return feed

    def remove(self, market_type: str, symbols: Iterable[str]) -> None:
        """Follow symbols no more; a connection without any is closed."""
        gone = frozenset(symbols)
        for feed in list(self._feeds[market_type]):
            mine = feed.symbols & gone
            if mine:
                feed.remove(mine)
            if not feed.symbols:
                self._feeds[market_type].remove(feed)
                self._tasks.pop(feed).cancel()
                self._status.dismiss(feed.name)

    def is_answered(self, market_type: str, symbol: str) -> bool:
        """Return whether the exchange has said yes or no to a symbol on a connection that is open."""
        return any(feed.is_answered(symbol) for feed in self._feeds[market_type])

    async def close(self) -> None:
        """Close every connection."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and not self.failed.done():
            self.failed.set_exception(task.exception() or RuntimeError("a connection's task ended by itself"))


def _room(symbols: Iterable[str]) -> int:
    return messages.ARGS_CHARACTERS_PER_CONNECTION - sum(map(messages.args_characters, symbols))

"""Distributes symbols over connections: as many as the symbols need, each symbol on one of them.

Not here: which symbols (coordinator.py), the connection itself (connection.py).
The exchange limits the characters of topics a connection, so a symbol goes to the first connection with room.
To distribute symbols differently: `_connection_for`.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tapeline_producer.connection.connection import StreamConnection
from tapeline_producer.exchange.bybit import messages
from tapeline_producer.metrics import Metrics
from tapeline_producer.pipeline import TradePipeline
from tapeline_producer.readiness import Readiness
from tapeline_producer.settings import Settings


class ConnectionPool:
    """All connections of one process, and their tasks."""

    def __init__(
        self,
        settings: Settings,
        pipeline: TradePipeline,
        readiness: Readiness,
        metrics: Metrics,
        clock_ms: Callable[[], int],
    ) -> None:
        """Start without a connection; see StreamConnection for the arguments."""
        self._settings = settings
        self._pipeline = pipeline
        self._readiness = readiness
        self._metrics = metrics
        self._clock_ms = clock_ms
        self._connections: dict[str, list[StreamConnection]] = {name: [] for name in settings.market_types}
        self._tasks: dict[StreamConnection, asyncio.Task[None]] = {}
        self._numbers = {market_type: itertools.count(1) for market_type in settings.market_types}
        self.failed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        """Done, with the error, when a connection's task ends by a programming error."""

    def add(self, market_type: str, symbols: Iterable[str], unlisted: Mapping[str, str]) -> None:
        """Subscribe symbols.

        Args:
            market_type: market.
            symbols: in the order in which they are placed on connections.
            unlisted: symbols, with the reason, that are tried later.
        """
        added: dict[StreamConnection, tuple[list[str], dict[str, str]]] = {}
        room = {connection: _room(connection.symbols) for connection in self._connections[market_type]}
        for symbol in (*unlisted, *symbols):
            connection = self._connection_for(market_type, messages.args_characters(symbol), room)
            listed, refused = added.setdefault(connection, ([], {}))
            if symbol in unlisted:
                refused[symbol] = unlisted[symbol]
            else:
                listed.append(symbol)
        for connection, (listed, refused) in added.items():
            connection.add(listed, refused)
            if connection not in self._tasks:
                self._tasks[connection] = asyncio.create_task(connection.run())
                self._tasks[connection].add_done_callback(self._on_task_done)

    def _connection_for(self, market_type: str, characters: int, room: dict[StreamConnection, int]) -> StreamConnection:
        """Return a connection with enough room, a new one if there is none, and reserve the room."""
        connection = next((one for one, left in room.items() if left >= characters), None)
        if connection is None:
            name = f"{market_type}-{next(self._numbers[market_type])}"
            connection = StreamConnection(
                name, market_type, self._settings, self._pipeline, self._readiness, self._metrics, self._clock_ms
            )
            self._connections[market_type].append(connection)
            room[connection] = _room(())
        room[connection] -= characters
        return connection

    def remove(self, market_type: str, symbols: Iterable[str]) -> None:
        """Unsubscribe symbols; a connection without a symbol is closed."""
        removed = frozenset(symbols)
        for connection in list(self._connections[market_type]):
            of_connection = connection.symbols & removed
            if of_connection:
                connection.remove(of_connection)
            if not connection.symbols:
                self._connections[market_type].remove(connection)
                self._tasks.pop(connection).cancel()
                self._readiness.remove_connection(connection.name)

    def is_acknowledged(self, market_type: str, symbol: str) -> bool:
        """Return whether the exchange has acknowledged or refused a symbol on an open connection."""
        return any(connection.is_acknowledged(symbol) for connection in self._connections[market_type])

    async def close(self) -> None:
        """Close every connection."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and not self.failed.done():
            self.failed.set_exception(task.exception() or RuntimeError("a connection's task ended without an error"))


def _room(symbols: Iterable[str]) -> int:
    return messages.ARGS_CHARACTERS_PER_CONNECTION - sum(map(messages.args_characters, symbols))

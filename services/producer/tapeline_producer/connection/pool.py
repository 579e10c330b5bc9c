"""Distributes instruments over connections: as many as they need, each instrument on one of them.

Not here: which instruments (coordinator.py), the connection itself (connection.py).
The exchange limits the characters of topics a connection, so an instrument goes to the first connection with room.
To distribute instruments differently: `_connection_for`.
"""

import asyncio
import itertools
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from tapeline.enums import MarketType
from tapeline.instrument import Instrument

from tapeline_producer.connection.connection import StreamConnection
from tapeline_producer.exchange.bybit import messages
from tapeline_producer.exchange.symbol_selection import ListedInstrument
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
        self._connections: dict[MarketType, list[StreamConnection]] = {name: [] for name in settings.market_types}
        self._tasks: dict[StreamConnection, asyncio.Task[None]] = {}
        self._numbers = {market_type: itertools.count(1) for market_type in settings.market_types}
        self.failed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        """Done, with the error, when a connection's task ends by a programming error."""

    def add(self, listed: Iterable[ListedInstrument], unlisted: Mapping[ListedInstrument, str]) -> None:
        """Subscribe instruments.

        Args:
            listed: in the order in which they are placed on connections.
            unlisted: instruments, with the reason, that are tried later.
        """
        added: dict[StreamConnection, tuple[list[ListedInstrument], dict[ListedInstrument, str]]] = {}
        room = {one: _room(one.instruments) for connections in self._connections.values() for one in connections}
        for one in (*unlisted, *listed):
            connection = self._connection_for(one.instrument, room)
            to_request, refused = added.setdefault(connection, ([], {}))
            if one in unlisted:
                refused[one] = unlisted[one]
            else:
                to_request.append(one)
        for connection, (to_request, refused) in added.items():
            connection.add(to_request, refused)
            if connection not in self._tasks:
                self._tasks[connection] = asyncio.create_task(connection.run())
                self._tasks[connection].add_done_callback(self._on_task_done)

    def _connection_for(self, instrument: Instrument, room: dict[StreamConnection, int]) -> StreamConnection:
        """Return a connection with enough room, a new one if there is none, and reserve the room."""
        market_type, characters = instrument.market_type, messages.args_characters(instrument.symbol)
        connections = self._connections[market_type]
        connection = next((one for one in connections if room[one] >= characters), None)
        if connection is None:
            name = f"{market_type}-{next(self._numbers[market_type])}"
            connection = StreamConnection(
                name, market_type, self._settings, self._pipeline, self._readiness, self._metrics, self._clock_ms
            )
            connections.append(connection)
            room[connection] = _room(())
        room[connection] -= characters
        return connection

    def remove(self, instruments: Collection[Instrument]) -> None:
        """Unsubscribe instruments; a connection without an instrument is closed."""
        removed = frozenset(instruments)
        for connection in [one for connections in self._connections.values() for one in connections]:
            of_connection = connection.instruments & removed
            if not of_connection:
                continue
            connection.remove(of_connection)
            if not connection.instruments:
                self._connections[connection.market_type].remove(connection)
                self._tasks.pop(connection).cancel()
                self._readiness.remove_connection(connection.name)

    def is_acknowledged(self, instrument: Instrument) -> bool:
        """Return whether the exchange has acknowledged or refused an instrument on an open connection."""
        return any(one.is_acknowledged(instrument) for one in self._connections[instrument.market_type])

    async def close(self) -> None:
        """Close every connection."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and not self.failed.done():
            self.failed.set_exception(task.exception() or RuntimeError("a connection's task ended without an error"))


def _room(instruments: Iterable[Instrument]) -> int:
    used = sum(messages.args_characters(instrument.symbol) for instrument in instruments)
    return messages.ARGS_CHARACTERS_PER_CONNECTION - used

"""Outgoing events of one client: a conflating queue, at most one pending event for each publisher.

When a publisher has a new event and the client has not taken the previous one, a snapshot of the publisher's state
replaces both. A slow client costs no memory.
"""

import asyncio
from typing import Protocol

from tapeline_board import metrics
from tapeline_board.api.schemas.common import ApiModel, EventName


def encode_event(event: EventName, content: ApiModel) -> bytes:
    """Return an event in the format of server-sent events."""
    # JSON of pydantic has no line ends in it, so one `data:` line is enough.
    return f"event: {event}\ndata: {content.model_dump_json()}\n\n".encode()


class Publisher(Protocol):
    """Puts events into queues."""

    @property
    def event(self) -> EventName:
        """Return the name of its events."""
        ...

    def snapshot(self) -> bytes:
        """Return its current state, encoded."""
        ...


class ConflatingQueue:
    """Pending events of one client; belongs to one event loop."""

    def __init__(self) -> None:
        """Begin empty."""
        self._pending: dict[Publisher, bytes | None] = {}
        self._has_events = asyncio.Event()
        self.is_closed = False

    def put(self, publisher: Publisher, delta: bytes | None) -> None:
        """Queue an event for the client.

        Args:
            publisher: of the event.
            delta: encoded; None: a snapshot of the publisher, taken when the client gets the event.
        """
        if publisher in self._pending:
            metrics.CONFLATED.labels(publisher.event).inc()
            delta = None
        self._pending[publisher] = delta
        self._has_events.set()

    def close(self) -> None:
        """End the client's stream, now."""
        self.is_closed = True
        self._has_events.set()

    async def get(self, timeout_s: float) -> bytes | None:
        """Return the oldest pending event; None after the time-out or when the queue is closed."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._has_events.wait()
        except TimeoutError:
            return None
        if self.is_closed:
            return None
        publisher = next(iter(self._pending))
        delta = self._pending.pop(publisher)
        if not self._pending:
            self._has_events.clear()
        metrics.EVENTS.labels(publisher.event).inc()
        return publisher.snapshot() if delta is None else delta

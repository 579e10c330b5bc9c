"""What one client has still to be told: at most one thing of each feed, so that slowness costs nobody memory.

Where a client has not taken the last news of a feed when the next ones come, both are dropped for the whole state,
which says all that they said.
"""

import asyncio
from typing import Protocol

from tapeline_board import metrics
from tapeline_board.api.schemas.market import EventName, Told


def encoded(event: EventName, told: Told) -> bytes:
    """Return an event in the form of server-sent events."""
    # JSON of pydantic has no line ends in it, so one `data:` line is enough.
    return f"event: {event}\ndata: {told.model_dump_json()}\n\n".encode()


class Sender(Protocol):
    """Whoever puts something into a mailbox."""

    @property
    def event(self) -> EventName:
        """Return under which name it speaks."""
        ...

    def whole(self) -> bytes:
        """Return its whole state as it is now, encoded."""
        ...


class Mailbox:
    """One client's; belongs to one event loop."""

    def __init__(self) -> None:
        """Begin empty."""
        self._pending: dict[Sender, bytes | None] = {}
        self._filled = asyncio.Event()
        self.is_closed = False

    def put(self, sender: Sender, news: bytes | None) -> None:
        """Leave something for the client.

        Args:
            sender: whose.
            news: encoded; None: its whole state, as it is when the client takes it.
        """
        if sender in self._pending:
            metrics.SKIPPED.labels(sender.event).inc()
            news = None
        self._pending[sender] = news
        self._filled.set()

    def close(self) -> None:
        """End the client's stream, now."""
        self.is_closed = True
        self._filled.set()

    async def take(self, patience_s: float) -> bytes | None:
        """Return what waits longest, None where nothing came for so long or the mailbox is closed."""
        try:
            async with asyncio.timeout(patience_s):
                await self._filled.wait()
        except TimeoutError:
            return None
        if self.is_closed:
            return None
        sender = next(iter(self._pending))
        news = self._pending.pop(sender)
        if not self._pending:
            self._filled.clear()
        metrics.EVENTS.labels(sender.event).inc()
        return sender.whole() if news is None else news

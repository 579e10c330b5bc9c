"""Repeats one query and publishes its changes to all subscribers."""

import asyncio
import logging
from typing import Protocol

from tapeline_board.api.schemas.common import ApiModel, EventName, FailedEvent
from tapeline_board.errors import ApiError
from tapeline_board.live.availability import Availability
from tapeline_board.live.client_queue import ConflatingQueue, encode_event

log = logging.getLogger(__name__)


class PollSource(Protocol):
    """Runs the query of a poller and keeps its result."""

    async def poll(self) -> ApiModel | None:
        """Run the query; return what changed, None without changes.

        Raises:
            ApiError: there is no response.
        """
        ...

    def snapshot(self) -> ApiModel | None:
        """Return the current state, None before the first response."""
        ...


class Poller:
    """A source, its subscribers, and the interval of its polls."""

    def __init__(self, event: EventName, source: PollSource, poll_s: float, idle_ratio: float) -> None:
        """Prepare; `run` polls.

        Args:
            event: name of its events.
            source: runs the query.
            poll_s: seconds between two polls.
            idle_ratio: it pauses at least so many times as long as the query took.
        """
        self.event: EventName = event
        self.subscribers: set[ConflatingQueue] = set()
        self._source, self._poll_s, self._idle_ratio = source, poll_s, idle_ratio
        self._failure: bytes | None = None
        self._snapshot: bytes | None = None

    def subscribe(self, queue: ConflatingQueue) -> None:
        """Add a client; it gets the current state at once."""
        self.subscribers.add(queue)
        if self._failure is not None or self._source.snapshot() is not None:
            queue.put(self, None)

    def snapshot(self) -> bytes:
        """Return the current state, encoded once for all subscribers."""
        if self._snapshot is None:
            current = self._source.snapshot()
            self._snapshot = b"" if current is None else encode_event(self.event, current)
        return self._snapshot + (self._failure or b"")

    async def run(self, availability: Availability) -> None:
        """Poll until cancelled; while Elasticsearch is unavailable, wait instead."""
        loop = asyncio.get_running_loop()
        while True:
            await availability.wait_available()
            start_s = loop.time()
            await self._poll()
            await asyncio.sleep(max(self._poll_s, self._idle_ratio * (loop.time() - start_s)))

    async def _poll(self) -> None:
        try:
            delta = await self._source.poll()
        except ApiError as error:
            self._publish_failure(error.code, str(error))
            return
        except (ValueError, LookupError, TypeError):
            # A document of another shape must not end the stream of every subscriber; the log has the cause.
            log.exception("response could not be parsed", extra={"event": self.event})
            self._publish_failure(
                ApiError.code, "the board could not parse a response of Elasticsearch; see the board's log"
            )
            return
        had_failed, self._failure = self._failure is not None, None
        if delta is not None or had_failed:
            self._snapshot = None
            self._publish(None if delta is None or had_failed else encode_event(self.event, delta))

    def _publish_failure(self, error: str, message: str) -> None:
        failure = encode_event("failed", FailedEvent(event=self.event, error=error, message=message))
        if failure != self._failure:
            self._failure = failure
            self._publish(failure)

    def _publish(self, delta: bytes | None) -> None:
        for queue in self.subscribers:
            queue.put(self, delta)


class StatusPublisher:
    """Publishes changes of the availability of Elasticsearch to all clients."""

    event: EventName = "status"

    def __init__(self, availability: Availability) -> None:
        """Publish the status of `availability`."""
        self._availability = availability
        self.subscribers: set[ConflatingQueue] = set()

    def subscribe(self, queue: ConflatingQueue) -> None:
        """Add a client; it gets the status at once."""
        self.subscribers.add(queue)
        queue.put(self, None)

    def snapshot(self) -> bytes:
        """Return the status, encoded."""
        return encode_event(self.event, self._availability.status())

    async def run(self) -> None:
        """Publish every change until cancelled."""
        while True:
            await self._availability.wait_changed()
            for queue in self.subscribers:
                queue.put(self, None)

"""One question, asked again and again for everybody who wants its answer."""

import asyncio
import logging
from typing import Protocol

from tapeline_board.api.schemas.market import EventName, FailedAnswer, Told
from tapeline_board.errors import ApiError
from tapeline_board.live.availability import Availability
from tapeline_board.live.client_queue import Mailbox, encoded

log = logging.getLogger(__name__)


class Source(Protocol):
    """Where the answers of a feed come from."""

    async def look(self) -> Told | None:
        """Ask; return what is new, None where nothing is.

        Raises:
            ApiError: there is no answer.
        """
        ...

    def whole(self) -> Told | None:
        """Return all that is known, None before the first answer."""
        ...


class Feed:
    """A source, who listens to it, and its rhythm."""

    def __init__(self, event: EventName, source: Source, poll_s: float, idle_share: float) -> None:
        """Describe it; `run` asks.

        Args:
            event: name of its events.
            source: of its answers.
            poll_s: seconds between two looks.
            idle_share: it rests at least so many times as long as its answer took.
        """
        self.event: EventName = event
        self.listeners: set[Mailbox] = set()
        self._source, self._poll_s, self._idle_share = source, poll_s, idle_share
        self._failed: bytes | None = None
        self._whole: bytes | None = None

    def add(self, mailbox: Mailbox) -> None:
        """Let a client listen; it is told at once what is known."""
        self.listeners.add(mailbox)
        if self._failed is not None or self._source.whole() is not None:
            mailbox.put(self, None)

    def whole(self) -> bytes:
        """Return its whole state as it is now, encoded once for all who ask."""
        if self._whole is None:
            known = self._source.whole()
            self._whole = b"" if known is None else encoded(self.event, known)
        return self._whole + (self._failed or b"")

    async def run(self, availability: Availability) -> None:
        """Ask for as long as it is not cancelled; while Elasticsearch is away, wait for it instead."""
        loop = asyncio.get_running_loop()
        while True:
            await availability.wait_up()
            start_s = loop.time()
            await self._look()
            await asyncio.sleep(max(self._poll_s, self._idle_share * (loop.time() - start_s)))

    async def _look(self) -> None:
        try:
            news = await self._source.look()
        except ApiError as error:
            self._fail(error.code, str(error))
            return
        except (ValueError, LookupError, TypeError):
            # A document of another shape must not end the stream of everybody; what is wrong stands in the log.
            log.exception("an answer could not be read", extra={"event": self.event})
            self._fail(ApiError.code, "the board could not read an answer of Elasticsearch; see its log")
            return
        was_failed, self._failed = self._failed is not None, None
        if news is not None or was_failed:
            self._whole = None
            self._tell(None if news is None or was_failed else encoded(self.event, news))

    def _fail(self, error: str, message: str) -> None:
        told = encoded("failed", FailedAnswer(event=self.event, error=error, message=message))
        if told != self._failed:
            self._failed = told
            self._tell(told)

    def _tell(self, news: bytes | None) -> None:
        for mailbox in self.listeners:
            mailbox.put(self, news)


class StatusFeed:
    """Tells everybody when Elasticsearch goes away and comes back."""

    event: EventName = "status"

    def __init__(self, availability: Availability) -> None:
        """Speak of this."""
        self._availability = availability
        self.listeners: set[Mailbox] = set()

    def add(self, mailbox: Mailbox) -> None:
        """Let a client listen; it is told at once how things are."""
        self.listeners.add(mailbox)
        mailbox.put(self, None)

    def whole(self) -> bytes:
        """Return how things are, encoded."""
        return encoded(self.event, self._availability.status())

    async def run(self) -> None:
        """Tell every change for as long as it is not cancelled."""
        while True:
            await self._availability.wait_changed()
            for mailbox in self.listeners:
                mailbox.put(self, None)

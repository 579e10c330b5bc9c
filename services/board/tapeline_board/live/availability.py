"""Whether Elasticsearch is there, since when, and who waits for it. No I/O; elastic.py tells it what happened."""

import asyncio
import logging
from collections.abc import Callable

from tapeline_board import metrics
from tapeline_board.api.schemas.market import StatusAnswer

log = logging.getLogger(__name__)


class Availability:
    """One state of two, with its reason; belongs to one event loop."""

    def __init__(self, clock_ms: Callable[[], int]) -> None:
        """Begin as away: nobody has looked yet."""
        self._clock_ms = clock_ms
        self._reason: str | None = "nobody has looked yet"
        self._since_ms = clock_ms()
        self._is_up = asyncio.Event()
        self._changed = asyncio.Event()

    def hold(self) -> None:
        """Say that it answers."""
        if not self._is_up.is_set():
            log.info("Elasticsearch answers")
            self._turn(None)

    def fail(self, reason: str) -> None:
        """Say that it does not, and why."""
        # From one reason to the next (refused, then starting) it is the same outage.
        if self._is_up.is_set():
            log.warning("Elasticsearch is away", extra={"reason": reason})
            self._turn(reason)
        elif reason != self._reason:
            self._reason = reason
            self._tell()

    def _turn(self, reason: str | None) -> None:
        self._reason, self._since_ms = reason, self._clock_ms()
        metrics.ELASTICSEARCH_UP.set(int(reason is None))
        if reason is None:
            self._is_up.set()
        else:
            self._is_up.clear()
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    @property
    def is_up(self) -> bool:
        """Return whether it answers."""
        return self._is_up.is_set()

    @property
    def reason(self) -> str:
        """Return why it is away; empty while it answers."""
        return self._reason or ""

    async def wait_up(self) -> None:
        """Return as soon as it answers."""
        await self._is_up.wait()

    async def wait_changed(self) -> None:
        """Return when its state, or the reason of it, changes next."""
        await self._changed.wait()

    def status(self) -> StatusAnswer:
        """Return what the page is told."""
        return StatusAnswer(
            at=self._clock_ms(),
            elasticsearch="ok" if self.is_up else "away",
            reason=self._reason,
            since_at=self._since_ms,
        )

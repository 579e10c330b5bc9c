"""Tracks whether Elasticsearch is available, since when and why not; wakes waiters on changes. No I/O."""

import asyncio
import logging
from collections.abc import Callable

from tapeline_board import metrics
from tapeline_board.api.schemas.common import StatusResponse

log = logging.getLogger(__name__)


class Availability:
    """Available or unavailable, with a reason; belongs to one event loop."""

    def __init__(self, clock_ms: Callable[[], int]) -> None:
        """Begin as unavailable until the first check."""
        self._clock_ms = clock_ms
        self._reason: str | None = "not checked yet"
        self._since_ms = clock_ms()
        self._is_available = asyncio.Event()
        self._changed = asyncio.Event()

    def mark_available(self) -> None:
        """Record that Elasticsearch responds."""
        if not self._is_available.is_set():
            log.info("Elasticsearch is available")
            self._set_state(None)

    def mark_unavailable(self, reason: str) -> None:
        """Record that Elasticsearch does not respond, and why."""
        # From one reason to the next (refused, then starting) it is the same outage.
        if self._is_available.is_set():
            log.warning("Elasticsearch is unavailable", extra={"reason": reason})
            self._set_state(reason)
        elif reason != self._reason:
            self._reason = reason
            self._wake_waiters()

    def _set_state(self, reason: str | None) -> None:
        self._reason, self._since_ms = reason, self._clock_ms()
        metrics.ELASTICSEARCH_UP.set(int(reason is None))
        if reason is None:
            self._is_available.set()
        else:
            self._is_available.clear()
        self._wake_waiters()

    def _wake_waiters(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    @property
    def is_available(self) -> bool:
        """Return whether Elasticsearch responds."""
        return self._is_available.is_set()

    @property
    def reason(self) -> str:
        """Return why Elasticsearch is unavailable; empty while it is available."""
        return self._reason or ""

    async def wait_available(self) -> None:
        """Return as soon as Elasticsearch is available."""
        await self._is_available.wait()

    async def wait_changed(self) -> None:
        """Return when the state, or its reason, changes next."""
        await self._changed.wait()

    def status(self) -> StatusResponse:
        """Return the state as a response."""
        return StatusResponse(
            at=self._clock_ms(),
            elasticsearch="available" if self.is_available else "unavailable",
            reason=self._reason,
            since_at=self._since_ms,
        )

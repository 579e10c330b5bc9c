"""The running board: clients, hub and response cache, started and stopped together."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

from tapeline.service.clock import now_ms
from tapeline.service.health import Health

from tapeline_board.api.schemas.common import ApiModel
from tapeline_board.clients.elasticsearch import ElasticsearchClient
from tapeline_board.clients.inference import InferenceClient
from tapeline_board.errors import ElasticsearchUnavailable
from tapeline_board.live.availability import Availability
from tapeline_board.live.hub import Hub
from tapeline_board.live.poller import Poller
from tapeline_board.live.single_flight import SingleFlight
from tapeline_board.live.sources import SourceFactory, Topic
from tapeline_board.panels.reader import Reader
from tapeline_board.settings import Settings

log = logging.getLogger(__name__)

ELASTICSEARCH_CHECKED: Final = "elasticsearch_checked"
"""Readiness condition: the board knows whether Elasticsearch is available. An outage does not end readiness."""
SILENCE_MAX_S: Final = 60.0


class Board:
    """Everything behind the routes."""

    def __init__(self, settings: Settings) -> None:
        """Prepare; nothing is sent yet.

        Raises:
            InvalidConnection: password or authorities of Elasticsearch cannot be read.
        """
        self.settings = settings
        self.health = Health((ELASTICSEARCH_CHECKED,), SILENCE_MAX_S)
        self.availability = Availability(now_ms)
        self._elasticsearch = ElasticsearchClient(settings, self.availability)
        self._inference = InferenceClient(settings.inference_url, now_ms)
        self.reader = Reader(self._elasticsearch, self._inference, now_ms)
        self._sources = SourceFactory(self.reader, settings)
        self.hub = Hub(settings, self.availability, self._make_poller)
        self._single_flight = SingleFlight(settings.response_ttl_s)

    def _make_poller(self, topic: Topic) -> Poller:
        source, poll_s = self._sources.make(topic), self._sources.poll_s(topic.event)
        return Poller(topic.event, source, poll_s, self.settings.idle_ratio)

    async def respond(self, key: str, fetch: Callable[[], Awaitable[ApiModel]]) -> bytes:
        """Return a response as JSON; equal concurrent queries share one response.

        Args:
            key: all that the response depends on.
            fetch: runs the query.

        Raises:
            ElasticsearchUnavailable: known already; the caller does not wait for a time-out.
        """
        if not self.availability.is_available:
            raise ElasticsearchUnavailable(self.availability.reason)

        async def encoded() -> bytes:
            return (await fetch()).model_dump_json().encode()

        return await self._single_flight.get(key, encoded)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Check Elasticsearch once, then periodically until the end of the block."""
        await self._elasticsearch.check_health()
        self.health.set_ready(ELASTICSEARCH_CHECKED)
        tasks = [_start_task(self._check_periodically()), _start_task(self.hub.run())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.hub.close()
            await self._elasticsearch.close()
            await self._inference.close()

    async def _check_periodically(self) -> None:
        while True:
            self.health.beat()
            await asyncio.sleep(self.settings.health_check_s)
            await self._elasticsearch.check_health()


def _start_task(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    task = asyncio.create_task(work)
    task.add_done_callback(_log_failure)
    return task


def _log_failure(task: asyncio.Task[None]) -> None:
    # A bug; without the health check of Elasticsearch, liveness fails after SILENCE_MAX_S and the board restarts.
    if not task.cancelled() and task.exception() is not None:
        log.error("background task failed", exc_info=task.exception())

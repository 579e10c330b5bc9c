"""The running board: what the paths answer from, started and stopped together."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

from tapeline.service.health import Health

from tapeline_board.api.schemas.market import Told
from tapeline_board.clients.elasticsearch import Elastic
from tapeline_board.clients.inference import Inference, clock_ms
from tapeline_board.errors import ElasticsearchAway
from tapeline_board.live.availability import Availability
from tapeline_board.live.hub import Hub
from tapeline_board.live.poller import Feed
from tapeline_board.live.single_flight import Once
from tapeline_board.live.sources import Sources, Topic
from tapeline_board.panels.reader import Reader
from tapeline_board.settings import Settings

log = logging.getLogger(__name__)

LOOKED: Final = "elasticsearch_looked_for"
"""Ready means that the board can say how things are; an Elasticsearch that is away is for the page to tell."""
SILENCE_MAX_S: Final = 60.0


class Board:
    """Everything behind the paths."""

    def __init__(self, settings: Settings) -> None:
        """Prepare; nothing is asked yet.

        Raises:
            InvalidConnection: password or authorities of Elasticsearch cannot be read.
        """
        self.settings = settings
        self.health = Health((LOOKED,), SILENCE_MAX_S)
        self.availability = Availability(clock_ms)
        self._elastic = Elastic(settings, self.availability)
        self._inference = Inference(settings.inference_url, clock_ms)
        self.reader = Reader(self._elastic, self._inference, clock_ms)
        self._sources = Sources(self.reader, settings)
        self.hub = Hub(settings, self.availability, self._feed)
        self._once = Once(settings.answer_ttl_s)

    def _feed(self, topic: Topic) -> Feed:
        source, poll_s = self._sources.make(topic), self._sources.poll_s(topic.event)
        return Feed(topic.event, source, poll_s, self.settings.idle_share)

    async def answer(self, key: str, ask: Callable[[], Awaitable[Told]]) -> bytes:
        """Return an answer as JSON; who asks the same at the same time gets the same.

        Args:
            key: all that the answer depends on.
            ask: how to get it.

        Raises:
            ElasticsearchAway: it is known to be away; nobody waits for a time-out.
        """
        if not self.availability.is_up:
            raise ElasticsearchAway(self.availability.reason)

        async def encoded() -> bytes:
            return (await ask()).model_dump_json().encode()

        return await self._once.get(key, encoded)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look for Elasticsearch once, then go on doing so until the end of the block."""
        await self._elastic.look()
        self.health.hold(LOOKED)
        tasks = [_started(self._watch()), _started(self.hub.run())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.hub.close()
            await self._elastic.close()
            await self._inference.close()

    async def _watch(self) -> None:
        while True:
            self.health.beat()
            await asyncio.sleep(self.settings.look_s)
            await self._elastic.look()


def _started(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    task = asyncio.create_task(work)
    task.add_done_callback(_tell_end)
    return task


def _tell_end(task: asyncio.Task[None]) -> None:
    # A bug; without the look for Elasticsearch liveness fails after SILENCE_MAX_S and ends that.
    if not task.cancelled() and task.exception() is not None:
        log.error("a task of the board ended", exc_info=task.exception())

"""Subscribes clients to topics: one poller a topic for any number of clients, with limits on both."""

import asyncio
import logging
from collections.abc import Callable

from tapeline_board import metrics
from tapeline_board.api.query_params import StreamQuery
from tapeline_board.errors import TooManyClients, TooManyQueries
from tapeline_board.live.availability import Availability
from tapeline_board.live.client_queue import ConflatingQueue
from tapeline_board.live.poller import Poller, StatusPublisher
from tapeline_board.live.sources import Topic
from tapeline_board.settings import Settings

log = logging.getLogger(__name__)


def topics(query: StreamQuery) -> tuple[Topic, ...]:
    """Return the topics of a stream, beside the status."""
    filters, window_ms = query.filters(), query.window_ms
    found = [
        Topic("symbols"),
        Topic("tape", filters),
        Topic("market", filters, window_ms),
        Topic("model"),
        Topic("reconciliation", filters.instrument_filters(), window_ms),
        Topic("alerts"),
    ]
    chart = query.chart()
    if chart is not None:
        found.insert(0, Topic("candle", instrument=chart))
    return tuple(topic for topic in found if not query.events or topic.event in query.events)


class Hub:
    """All pollers and all clients."""

    def __init__(self, settings: Settings, availability: Availability, make_poller: Callable[[Topic], Poller]) -> None:
        """Begin without any.

        Args:
            settings: the limits.
            availability: pollers wait while Elasticsearch is unavailable.
            make_poller: makes the poller of a topic.
        """
        self._settings, self._availability, self._make_poller = settings, availability, make_poller
        self._status = StatusPublisher(availability)
        self._pollers: dict[Topic, Poller] = {}
        self._tasks: dict[Topic, asyncio.Task[None]] = {}
        self._clients: dict[ConflatingQueue, tuple[Topic, ...]] = {}

    async def run(self) -> None:
        """Publish changes of the status until cancelled."""
        await self._status.run()

    def subscribe(self, wanted: tuple[Topic, ...]) -> ConflatingQueue:
        """Return the queue of a new client.

        Raises:
            TooManyClients: the limit of streams is reached.
            TooManyQueries: a topic is new, and the limit of pollers is reached.
        """
        if len(self._clients) >= self._settings.clients_max:
            raise TooManyClients(self._settings.clients_max)
        if len(self._pollers.keys() | set(wanted)) > self._settings.pollers_max:
            raise TooManyQueries(self._settings.pollers_max)
        queue = ConflatingQueue()
        self._clients[queue] = wanted
        self._status.subscribe(queue)
        for topic in wanted:
            self._poller(topic).subscribe(queue)
        metrics.CLIENTS.set(len(self._clients))
        return queue

    def unsubscribe(self, queue: ConflatingQueue) -> None:
        """Remove a client; a poller without subscribers goes on for `linger_s`."""
        wanted = self._clients.pop(queue, ())
        self._status.subscribers.discard(queue)
        for topic in wanted:
            poller = self._pollers.get(topic)
            if poller is not None:
                poller.subscribers.discard(queue)
                asyncio.get_running_loop().call_later(self._settings.linger_s, self._stop_idle, topic)
        metrics.CLIENTS.set(len(self._clients))

    async def close(self) -> None:
        """End every stream and every poller."""
        for queue in list(self._clients):
            queue.close()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _poller(self, topic: Topic) -> Poller:
        if topic not in self._pollers:
            poller = self._pollers[topic] = self._make_poller(topic)
            task = self._tasks[topic] = asyncio.create_task(poller.run(self._availability))
            task.add_done_callback(lambda done: self._handle_end(topic, poller, done))
            metrics.POLLERS.set(len(self._pollers))
        return self._pollers[topic]

    def _stop_idle(self, topic: Topic) -> None:
        poller = self._pollers.get(topic)
        if poller is not None and not poller.subscribers:
            self._remove(topic).cancel()

    def _remove(self, topic: Topic) -> asyncio.Task[None]:
        del self._pollers[topic]
        metrics.POLLERS.set(len(self._pollers))
        return self._tasks.pop(topic)

    def _handle_end(self, topic: Topic, poller: Poller, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        # A bug, and only of this poller: browsers reconnect after a pause, and a new poller is made.
        log.error("poller failed", exc_info=task.exception(), extra={"event": topic.event})
        if self._pollers.get(topic) is poller:
            self._remove(topic)
        for queue in poller.subscribers:
            queue.close()

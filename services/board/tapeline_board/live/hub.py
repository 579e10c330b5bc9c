"""Who listens to what: one feed a topic, however many clients want it, and limits on both."""

import asyncio
import logging
from collections.abc import Callable

from tapeline_board import metrics
from tapeline_board.api.query_params import Filters, StreamQuery
from tapeline_board.errors import TooManyClients, TooManyQuestions
from tapeline_board.live.availability import Availability
from tapeline_board.live.client_queue import Mailbox
from tapeline_board.live.poller import Feed, StatusFeed
from tapeline_board.live.sources import Topic
from tapeline_board.settings import Settings

log = logging.getLogger(__name__)


def topics(query: StreamQuery) -> tuple[Topic, ...]:
    """Return what a stream is to bring, beside the status."""
    filters, window_ms = query.filters(), query.window_ms
    found = [
        Topic("symbols"),
        Topic("tape", filters),
        Topic("market", filters, window_ms),
        Topic("model"),
        Topic("completeness", filters.of_symbols(), window_ms),
        Topic("alerts"),
    ]
    if query.chart_market_type and query.chart_symbol:
        found.insert(0, Topic("candle", Filters(query.chart_market_type, (query.chart_symbol,))))
    return tuple(topic for topic in found if not query.events or topic.event in query.events)


class Hub:
    """All feeds and all clients."""

    def __init__(self, settings: Settings, availability: Availability, make: Callable[[Topic], Feed]) -> None:
        """Begin without any.

        Args:
            settings: the limits.
            availability: feeds wait while Elasticsearch is away.
            make: makes the feed of a topic.
        """
        self._settings, self._availability, self._make = settings, availability, make
        self._status = StatusFeed(availability)
        self._feeds: dict[Topic, Feed] = {}
        self._tasks: dict[Topic, asyncio.Task[None]] = {}
        self._clients: dict[Mailbox, tuple[Topic, ...]] = {}

    async def run(self) -> None:
        """Tell changes of the status for as long as it is not cancelled."""
        await self._status.run()

    def join(self, wanted: tuple[Topic, ...]) -> Mailbox:
        """Return the mailbox of a new client.

        Raises:
            TooManyClients: no more streams are allowed.
            TooManyQuestions: it asks for something new, and no more questions are allowed.
        """
        if len(self._clients) >= self._settings.clients_max:
            raise TooManyClients(self._settings.clients_max)
        if len(self._feeds.keys() | set(wanted)) > self._settings.feeds_max:
            raise TooManyQuestions(self._settings.feeds_max)
        mailbox = Mailbox()
        self._clients[mailbox] = wanted
        self._status.add(mailbox)
        for topic in wanted:
            self._feed(topic).add(mailbox)
        metrics.CLIENTS.set(len(self._clients))
        return mailbox

    def leave(self, mailbox: Mailbox) -> None:
        """Forget a client; what nobody listens to any more is asked on for a moment."""
        wanted = self._clients.pop(mailbox, ())
        self._status.listeners.discard(mailbox)
        for topic in wanted:
            feed = self._feeds.get(topic)
            if feed is not None:
                feed.listeners.discard(mailbox)
                asyncio.get_running_loop().call_later(self._settings.linger_s, self._retire, topic)
        metrics.CLIENTS.set(len(self._clients))

    async def close(self) -> None:
        """End every stream and every feed."""
        for mailbox in list(self._clients):
            mailbox.close()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _feed(self, topic: Topic) -> Feed:
        if topic not in self._feeds:
            feed = self._feeds[topic] = self._make(topic)
            task = self._tasks[topic] = asyncio.create_task(feed.run(self._availability))
            task.add_done_callback(lambda done: self._ended(topic, feed, done))
            metrics.FEEDS.set(len(self._feeds))
        return self._feeds[topic]

    def _retire(self, topic: Topic) -> None:
        feed = self._feeds.get(topic)
        if feed is not None and not feed.listeners:
            self._forget(topic).cancel()

    def _forget(self, topic: Topic) -> asyncio.Task[None]:
        del self._feeds[topic]
        metrics.FEEDS.set(len(self._feeds))
        return self._tasks.pop(topic)

    def _ended(self, topic: Topic, feed: Feed, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        # A bug, and only of this feed: browsers come again after a pause, and it is made anew.
        log.error("a feed ended", exc_info=task.exception(), extra={"event": topic.event})
        if self._feeds.get(topic) is feed:
            self._forget(topic)
        for mailbox in feed.listeners:
            mailbox.close()

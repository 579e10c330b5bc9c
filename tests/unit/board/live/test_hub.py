import asyncio
import itertools

import pytest
from support import aeventually
from tapeline.enums import Side
from tapeline_board.api.query_params import Filters, StreamQuery
from tapeline_board.errors import TooManyClients, TooManyQueries
from tapeline_board.live.availability import Availability
from tapeline_board.live.hub import Hub, topics
from tapeline_board.live.poller import Poller
from tapeline_board.live.sources import Topic
from tapeline_board.settings import Settings

from unit.board.live.test_poller import SNAPSHOT, FakeSource

MODEL, SYMBOLS = Topic("model"), Topic("symbols")


class HubOverFakes:
    """A hub over scripted sources."""

    def __init__(self, **settings: object) -> None:
        limits = Settings(elasticsearch_url="http://127.0.0.1:9", linger_s=0.05, **settings)
        availability = Availability(itertools.count().__next__)
        availability.mark_available()
        self.sources: list[tuple[Topic, FakeSource]] = []
        self.hub = Hub(limits, availability, self._make_poller)

    def _make_poller(self, topic: Topic) -> Poller:
        self.sources.append((topic, FakeSource(SNAPSHOT)))
        return Poller(topic.event, self.sources[-1][1], 0.01, 1.0)


def test_a_stream_has_all_events_by_default():
    everything = topics(StreamQuery(chart_instrument="bybit:spot:A"))
    assert [topic.event for topic in everything] == [
        *("candle", "symbols", "tape", "market", "model", "reconciliation", "alerts"),
    ]
    assert [topic.event for topic in topics(StreamQuery())] == [
        *("symbols", "tape", "market", "model", "reconciliation", "alerts"),
    ]
    assert topics(StreamQuery(events=["tape", "status"], side="Buy")) == (Topic("tape", Filters(side=Side.BUY)),)


def test_the_same_symbol_at_two_venues_is_two_topics():
    queries = [
        StreamQuery(chart_instrument=f"{venue}:spot:A", instrument=[f"{venue}:spot:A"]) for venue in ("bybit", "other")
    ]
    ours, others = (set(topics(query)) for query in queries)
    assert {topic.event for topic in ours & others} == {"symbols", "model", "alerts"}
    assert {topic.event for topic in ours - others} == {"candle", "tape", "market", "reconciliation"}


def test_topics_without_a_side_are_shared_by_all_sides():
    buy, sell = topics(StreamQuery(side="Buy")), topics(StreamQuery(side="Sell"))
    assert {topic.event for topic in set(buy) & set(sell)} == {"symbols", "model", "reconciliation", "alerts"}


async def test_equal_topics_share_one_poller():
    made = HubOverFakes()
    for _ in range(100):
        made.hub.subscribe((MODEL, SYMBOLS))
    assert [topic for topic, _ in made.sources] == [MODEL, SYMBOLS]
    await made.hub.close()


async def test_a_subscription_over_a_limit_is_rejected_without_a_trace():
    made = HubOverFakes(clients_max=2, pollers_max=8)
    first = made.hub.subscribe(tuple(Topic("tape", Filters(venue=str(n))) for n in range(8)))
    with pytest.raises(TooManyQueries):
        made.hub.subscribe((MODEL,))
    made.hub.subscribe((Topic("tape", Filters(venue="3")),))
    with pytest.raises(TooManyClients):
        made.hub.subscribe(())
    made.hub.unsubscribe(first)
    made.hub.subscribe(())
    assert len(made.sources) == 8
    await made.hub.close()


async def test_a_poller_without_subscribers_stops_after_the_linger_time():
    made = HubOverFakes()
    queue = made.hub.subscribe((MODEL,))
    made.hub.unsubscribe(queue)
    made.hub.unsubscribe(made.hub.subscribe((MODEL,)))
    assert len(made.sources) == 1, "a reload finds the poller"
    await asyncio.sleep(0.1)
    polls = made.sources[0][1].polls
    await asyncio.sleep(0.05)
    assert made.sources[0][1].polls == polls
    made.hub.subscribe((MODEL,))
    assert len(made.sources) == 2
    await made.hub.close()


async def test_a_subscriber_within_the_linger_time_keeps_the_poller():
    made = HubOverFakes()
    made.hub.unsubscribe(made.hub.subscribe((MODEL,)))
    made.hub.subscribe((MODEL,))
    await asyncio.sleep(0.1)
    polls = made.sources[0][1].polls
    await aeventually(lambda: made.sources[0][1].polls > polls, "it still polls")
    await made.hub.close()


async def test_a_bug_in_one_poller_ends_its_own_streams_only(caplog):
    made = HubOverFakes()
    broken, well = made.hub.subscribe((MODEL,)), made.hub.subscribe((SYMBOLS,))
    made.sources[0][1].script = [ZeroDivisionError("a bug")]
    await aeventually(lambda: broken.is_closed, "the stream is ended")
    assert not well.is_closed
    assert "poller failed" in caplog.text
    made.hub.unsubscribe(broken)
    made.hub.subscribe((MODEL,))
    assert [topic for topic, _ in made.sources] == [MODEL, SYMBOLS, MODEL]
    await made.hub.close()


async def test_close_ends_every_queue_and_every_poller():
    made = HubOverFakes()
    queues = [made.hub.subscribe((MODEL,)) for _ in range(10)]
    await made.hub.close()
    assert all(queue.is_closed for queue in queues)
    polls = made.sources[0][1].polls
    await asyncio.sleep(0.05)
    assert made.sources[0][1].polls == polls

import asyncio
import itertools

import pytest
from support import aeventually
from tapeline_board.api.query_params import Filters, StreamQuery
from tapeline_board.errors import TooManyClients, TooManyQuestions
from tapeline_board.live.availability import Availability
from tapeline_board.live.hub import Hub, topics
from tapeline_board.live.poller import Feed
from tapeline_board.live.sources import Topic
from tapeline_board.settings import Settings

from unit.board.live.test_poller import WHOLE, Source

MODEL, SYMBOLS = Topic("model"), Topic("symbols")


class Made:
    """A hub over scripted sources."""

    def __init__(self, **settings: object) -> None:
        limits = Settings(elasticsearch_url="http://127.0.0.1:9", linger_s=0.05, **settings)
        availability = Availability(itertools.count().__next__)
        availability.hold()
        self.sources: list[tuple[Topic, Source]] = []
        self.hub = Hub(limits, availability, self._feed)

    def _feed(self, topic: Topic) -> Feed:
        self.sources.append((topic, Source(WHOLE)))
        return Feed(topic.event, self.sources[-1][1], 0.01, 1.0)


def test_a_stream_brings_everything_unless_it_names_what_it_wants():
    everything = topics(StreamQuery(chart_market_type="spot", chart_symbol="A"))
    assert [topic.event for topic in everything] == [
        *("candle", "symbols", "tape", "market", "model", "completeness", "alerts"),
    ]
    assert [topic.event for topic in topics(StreamQuery())] == [
        *("symbols", "tape", "market", "model", "completeness", "alerts"),
    ]
    assert topics(StreamQuery(events=["tape", "status"], side="Buy")) == (Topic("tape", Filters(side="Buy")),)


def test_what_a_side_cannot_change_is_one_question_for_all_sides():
    buy, sell = topics(StreamQuery(side="Buy")), topics(StreamQuery(side="Sell"))
    assert {topic.event for topic in set(buy) & set(sell)} == {"symbols", "model", "completeness", "alerts"}


async def test_one_feed_serves_all_who_ask_the_same():
    made = Made()
    for _ in range(100):
        made.hub.join((MODEL, SYMBOLS))
    assert [topic for topic, _ in made.sources] == [MODEL, SYMBOLS]
    await made.hub.close()


async def test_limits_refuse_the_next_one_and_leave_nothing_behind():
    made = Made(clients_max=2, feeds_max=8)
    first = made.hub.join(tuple(Topic("tape", Filters(symbols=(str(n),))) for n in range(8)))
    with pytest.raises(TooManyQuestions):
        made.hub.join((MODEL,))
    made.hub.join((Topic("tape", Filters(symbols=("3",))),))
    with pytest.raises(TooManyClients):
        made.hub.join(())
    made.hub.leave(first)
    made.hub.join(())
    assert len(made.sources) == 8
    await made.hub.close()


async def test_what_nobody_listens_to_is_asked_on_for_a_moment_only():
    made = Made()
    mailbox = made.hub.join((MODEL,))
    made.hub.leave(mailbox)
    made.hub.leave(made.hub.join((MODEL,)))
    assert len(made.sources) == 1, "a reload finds the feed"
    await asyncio.sleep(0.1)
    looks = made.sources[0][1].looks
    await asyncio.sleep(0.05)
    assert made.sources[0][1].looks == looks
    made.hub.join((MODEL,))
    assert len(made.sources) == 2
    await made.hub.close()


async def test_who_comes_back_within_the_moment_keeps_it():
    made = Made()
    made.hub.leave(made.hub.join((MODEL,)))
    made.hub.join((MODEL,))
    await asyncio.sleep(0.1)
    looks = made.sources[0][1].looks
    await aeventually(lambda: made.sources[0][1].looks > looks, "it is still asked")
    await made.hub.close()


async def test_a_bug_in_one_feed_ends_its_own_streams_only(caplog):
    made = Made()
    broken, well = made.hub.join((MODEL,)), made.hub.join((SYMBOLS,))
    made.sources[0][1].script = [ZeroDivisionError("a bug")]
    await aeventually(lambda: broken.is_closed, "the stream is ended")
    assert not well.is_closed
    assert "a feed ended" in caplog.text
    made.hub.leave(broken)
    made.hub.join((MODEL,))
    assert [topic for topic, _ in made.sources] == [MODEL, SYMBOLS, MODEL]
    await made.hub.close()


async def test_the_end_closes_every_mailbox_and_stops_every_feed():
    made = Made()
    mailboxes = [made.hub.join((MODEL,)) for _ in range(10)]
    await made.hub.close()
    assert all(mailbox.is_closed for mailbox in mailboxes)
    looks = made.sources[0][1].looks
    await asyncio.sleep(0.05)
    assert made.sources[0][1].looks == looks

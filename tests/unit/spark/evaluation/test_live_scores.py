"""Scores as the stream writes them, batch by batch, against a plain loop over all trades and gaps."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tapeline.records import score
from tapeline_spark.evaluation.evaluated_minutes import RECOUNT_MS

from unit.spark.change_factories import INSTRUMENT, MINUTE_MS, START, GapEnds, PredictedTrade, gap_row, scored_by_hand
from unit.spark.minute_harness import Harness

A, B = "sha256:a", "sha256:b"
MINUTES = 6
# Both ends of a minute, so that trades and gaps share milliseconds, and neighbours lie in two minutes.
TIMES = st.builds(
    lambda minute, offset_ms: START + minute * MINUTE_MS + offset_ms,
    st.integers(0, MINUTES - 1),
    st.sampled_from([0, 1, 2, 30_000, 59_998, 59_999]),
)
TRADES = st.lists(
    st.builds(
        PredictedTrade,
        TIMES,
        st.sampled_from([1.0, 1.5, 2.0]),
        st.booleans(),
        st.one_of(st.none(), st.floats(0, 1), st.floats(0, 1)),
        st.integers(0, 1),
        st.sampled_from([A, B]),
    ),
    min_size=1,
    max_size=30,
    unique_by=lambda one: (one.at_ms, one.price),
)
GAPS = st.lists(st.tuples(TIMES, TIMES).map(lambda ends: GapEnds(min(ends), max(ends))), max_size=3, unique=True)


def scores_of(harness):
    found = {}
    for identity, one in harness.documents.by_id.items():
        if "model_digest" in one:
            found[identity] = (one["predictions"], one["hits"], one["ups"], one["brier_sum"], one["pending"])
    return found


def scores_by_hand(trades, gaps):
    ordered = sorted(trades, key=lambda one: (one.at_ms, one.price))
    places = {(one.at_ms - one.at_ms % MINUTE_MS, one.model) for one in trades if one.probability is not None}
    return {place: scored_by_hand(ordered, *place, gaps) for place in places}


def assert_scores(harness, trades, gaps):
    found = scores_of(harness)
    wanted = scores_by_hand(trades, gaps)
    assert len(found) == len(wanted)
    for (minute_ms, model), numbers in wanted.items():
        identity = score.identity(INSTRUMENT, minute_ms, model)
        assert found[identity] == pytest.approx(numbers), (minute_ms - START) // MINUTE_MS


@settings(max_examples=400, deadline=None)
@given(TRADES, GAPS, st.randoms(use_true_random=False), st.booleans())
def test_scores_equal_a_loop_however_trades_and_gap_records_arrive(trades, gaps, random, is_in_order):
    events = list(trades) if is_in_order else random.sample(trades, len(trades))
    if is_in_order:
        events.sort(key=lambda one: one.at_ms)
    for gap in gaps:
        events.insert(random.randint(0, len(events)), gap)
    harness = Harness()
    while events:
        batch, events = events[: (taken := random.randint(1, 5))], events[taken:]
        send(harness, batch)
        for _ in range(random.randint(0, 2)):
            harness.tick()
    finish(harness)
    assert_scores(harness, trades, gaps)


@settings(max_examples=200, deadline=None)
@given(TRADES, GAPS)
def test_a_gap_record_that_comes_after_every_minute_was_scored_changes_their_scores(trades, gaps):
    harness = Harness()
    send(harness, trades)
    finish(harness)
    assert_scores(harness, trades, [])
    for gap in gaps:
        send(harness, [gap])
        finish(harness)
    assert_scores(harness, trades, gaps)


@settings(max_examples=200, deadline=None)
@given(TRADES, GAPS, st.randoms(use_true_random=False))
def test_scores_equal_a_loop_over_crashes_and_outages(trades, gaps, random):
    """A crash between any two batches or ticks, and ticks that find Elasticsearch away or without some documents."""
    events = [*random.sample(trades, len(trades)), *gaps]
    random.shuffle(events)
    harness = Harness()
    saved = harness.save()
    while events:
        batch, events = events[: (taken := random.randint(1, 5))], events[taken:]
        send(harness, batch)
        harness.documents.is_away = random.random() < 0.2
        harness.stored.missing = set(random.sample(trades, random.randint(0, 1)))
        for _ in range(random.randint(0, 2)):
            harness.tick()
        if random.random() < 0.3:
            saved = harness.save()
        if random.random() < 0.3:
            harness.crash(saved)
    harness.documents.is_away, harness.stored.missing = False, set()
    harness.tick(RECOUNT_MS)
    finish(harness)
    assert_scores(harness, trades, gaps)


@settings(max_examples=100, deadline=None)
@given(TRADES, GAPS, st.randoms(use_true_random=False))
def test_the_order_of_the_listeners_makes_no_difference(trades, gaps, random):
    events = [*random.sample(trades, len(trades)), *gaps]
    random.shuffle(events)
    harnesses = [Harness(is_evaluated_first=is_first) for is_first in (False, True)]
    while events:
        batch, events = events[: (taken := random.randint(1, 5))], events[taken:]
        ticks = random.randint(0, 2)
        for harness in harnesses:
            send(harness, batch)
            for _ in range(ticks):
                harness.tick()
        assert harnesses[0].documents.by_id == harnesses[1].documents.by_id
        assert harnesses[0].save() == harnesses[1].save()


def send(harness, events):
    own = [one for one in events if isinstance(one, GapEnds)]
    rows = [gap_row(*gap, f"{gap.from_traded_at}-{gap.to_traded_at}") for gap in own]
    harness.apply([one for one in events if isinstance(one, PredictedTrade)], rows)


def finish(harness):
    """End every minute, and score what is ready; one tick reads, and no minute needs more than three."""
    harness.apply([], newest_ms=START + (MINUTES + 1) * MINUTE_MS)
    for _ in range(3):
        harness.tick()


def test_a_gap_that_begins_with_the_next_minute_separates_the_last_trade_before_it():
    trades = [PredictedTrade(START + 5, 1.0, True, 0.9, 1, A), PredictedTrade(START + MINUTE_MS, 2.0)]
    harness = Harness()
    send(harness, trades)
    finish(harness)
    assert_scores(harness, trades, [])
    gap = GapEnds(START + MINUTE_MS, START + MINUTE_MS)
    send(harness, [gap])
    finish(harness)
    assert_scores(harness, trades, [gap])
    assert [numbers[0] for numbers in scores_of(harness).values()] == [0]


def test_a_gap_in_minutes_without_trades_separates_the_trades_around_them():
    trades = [PredictedTrade(START + 5, 1.0, True, 0.9, 1, A), PredictedTrade(START + 3 * MINUTE_MS, 2.0)]
    harness = Harness()
    send(harness, trades)
    finish(harness)
    gap = GapEnds(START + MINUTE_MS + 1, START + 2 * MINUTE_MS)
    send(harness, [gap])
    finish(harness)
    assert_scores(harness, trades, [gap])

from tapeline.records import candle
from tapeline_board.api.query_params import MINUTES_MAX, Filters
from tapeline_board.panels import candles

from unit.board import made

MARKET = Filters("spot", ("BTCUSDT",))
MINUTE_MS = candle.MINUTE_MS


def minutes(*numbers, **more):
    return [made.candle_of(made.START_MS + number * MINUTE_MS, 100.0 + number, **more) for number in numbers]


def times(answer):
    return [(row.at - made.START_MS) // MINUTE_MS for row in answer.candles]


def test_candles_are_told_oldest_first_with_the_windows_of_the_newest():
    told = candles.candles(MARKET, minutes(3, 2, 1))
    assert times(told) == [1, 2, 3]
    assert (told.candles[2].close, told.candles[2].sma_20) == (103.0, 103.0)
    assert [window.window for window in told.windows] == list(candle.WINDOWS_MINUTES)
    assert told.windows[1].volume == float(candle.windowed_fields().index("volume_5m"))
    assert told.is_whole


def test_a_field_that_is_warming_up_is_null():
    (row,) = candles.candles(MARKET, minutes(1, rsi_14=None)).candles
    assert row.rsi_14 is None


def test_one_candle_more_than_shown_says_that_there_are_others():
    many = minutes(*range(MINUTES_MAX, -1, -1))
    told = candles.candles(MARKET, many)
    assert (len(told.candles), told.is_cut, times(told)[0]) == (MINUTES_MAX, True, 1)
    assert not candles.candles(MARKET, many[:-1]).is_cut


def test_an_old_candle_that_changed_comes_with_the_windows_of_the_newest():
    old, newest = minutes(1, return_bp_1m=-1.0)[0], minutes(9, return_bp_1m=5.5)[0]
    told = candles.candles(MARKET, [old], newest)
    assert (times(told), told.windows[0].return_bp, told.is_whole) == ([1], 5.5, False)


def test_only_what_was_written_since_is_news():
    changes = candles.Changes()
    assert changes.written_ms == 0
    assert changes.take(minutes(2, 1)) == minutes(2, 1)
    assert changes.take(minutes(2, 1)) == []
    again = minutes(1, updated_at=made.START_MS + 10 * MINUTE_MS)
    assert changes.take([*minutes(3), *again]) == [*minutes(3), *again]
    assert changes.written_ms == made.START_MS + 10 * MINUTE_MS
    assert changes.recent() == [*minutes(3), *minutes(2), *again]


def test_an_older_form_of_a_candle_is_no_news():
    """A copy of a shard may lag behind the one that was asked before."""
    changes = candles.Changes()
    changes.take(minutes(1, updated_at=made.START_MS + MINUTE_MS))
    assert changes.take(minutes(1, updated_at=made.START_MS)) == []


def test_what_is_remembered_is_bounded():
    changes = candles.Changes()
    for number in range(0, MINUTES_MAX + 500, 100):
        changes.take(minutes(*range(number, number + 100)))
    assert len(changes.recent()) == candles.RECENT
    assert len(changes._known) == MINUTES_MAX


def test_markers_join_what_was_said_with_how_it_turned_out():
    predicted = [
        {"key": 60_000, "doc_count": 4, "ups": {"doc_count": 3}, "mean": {"value": 0.6}},
        {"key": 120_000, "doc_count": 2, "ups": {"doc_count": 0}, "mean": {"value": 0.4}},
    ]
    scored = [{"key": 60_000, "doc_count": 1, "predictions": {"value": 3.0}, "hits": {"value": 2.0}}]
    told = candles.markers(
        MARKET,
        {"aggregations": {"minutes": {"buckets": predicted}}},
        {"aggregations": {"minutes": {"buckets": scored}}},
    )
    assert [(row.at, row.predictions, row.ups, row.scored, row.hits) for row in told.markers] == [
        (60_000, 4, 3, 3, 2),
        (120_000, 2, 0, 0, 0),
    ]

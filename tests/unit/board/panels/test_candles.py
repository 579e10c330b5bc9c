from tapeline.records import candle
from tapeline_board.api.query_params import MINUTES_MAX, Filters
from tapeline_board.panels import candles

from unit.board import factories

MARKET = Filters("spot", ("BTCUSDT",))
MINUTE_MS = candle.MINUTE_MS


def minutes(*numbers, **more):
    return [factories.candle_of(factories.START_MS + number * MINUTE_MS, 100.0 + number, **more) for number in numbers]


def times(response):
    return [(row.at - factories.START_MS) // MINUTE_MS for row in response.candles]


def test_candles_are_oldest_first_with_the_windows_of_the_newest():
    response = candles.candles_response(MARKET, minutes(3, 2, 1))
    assert times(response) == [1, 2, 3]
    assert (response.candles[2].close, response.candles[2].sma_20) == (103.0, 103.0)
    assert [window.window for window in response.windows] == list(candle.WINDOWS_MINUTES)
    assert response.windows[1].volume == float(candle.windowed_fields().index("volume_5m"))
    assert response.is_snapshot


def test_a_field_that_is_warming_up_is_null():
    (row,) = candles.candles_response(MARKET, minutes(1, rsi_14=None)).candles
    assert row.rsi_14 is None


def test_one_candle_more_than_the_limit_sets_is_truncated():
    many = minutes(*range(MINUTES_MAX, -1, -1))
    response = candles.candles_response(MARKET, many)
    assert (len(response.candles), response.is_truncated, times(response)[0]) == (MINUTES_MAX, True, 1)
    assert not candles.candles_response(MARKET, many[:-1]).is_truncated


def test_an_old_candle_that_changed_comes_with_the_windows_of_the_newest():
    old, newest = minutes(1, return_bp_1m=-1.0)[0], minutes(9, return_bp_1m=5.5)[0]
    response = candles.candles_response(MARKET, [old], newest)
    assert (times(response), response.windows[0].return_bp, response.is_snapshot) == ([1], 5.5, False)


def test_only_candles_written_since_are_changes():
    changes = candles.CandleChanges()
    assert changes.written_ms == 0
    assert changes.update(minutes(2, 1)) == minutes(2, 1)
    assert changes.update(minutes(2, 1)) == []
    again = minutes(1, updated_at=factories.START_MS + 10 * MINUTE_MS)
    assert changes.update([*minutes(3), *again]) == [*minutes(3), *again]
    assert changes.written_ms == factories.START_MS + 10 * MINUTE_MS
    assert changes.recent() == [*minutes(3), *minutes(2), *again]


def test_an_older_version_of_a_candle_is_no_change():
    """A replica of a shard may lag behind the one of the previous search."""
    changes = candles.CandleChanges()
    changes.update(minutes(1, updated_at=factories.START_MS + MINUTE_MS))
    assert changes.update(minutes(1, updated_at=factories.START_MS)) == []


def test_known_candles_are_bounded():
    changes = candles.CandleChanges()
    for number in range(0, MINUTES_MAX + 500, 100):
        changes.update(minutes(*range(number, number + 100)))
    assert len(changes.recent()) == candles.RECENT
    assert len(changes._known) == MINUTES_MAX


def test_markers_join_predictions_with_outcomes():
    predicted = [
        {"key": 60_000, "doc_count": 4, "ups": {"doc_count": 3}, "mean": {"value": 0.6}},
        {"key": 120_000, "doc_count": 2, "ups": {"doc_count": 0}, "mean": {"value": 0.4}},
    ]
    scored = [{"key": 60_000, "doc_count": 1, "predictions": {"value": 3.0}, "hits": {"value": 2.0}}]
    response = candles.markers_response(
        MARKET,
        {"aggregations": {"minutes": {"buckets": predicted}}},
        {"aggregations": {"minutes": {"buckets": scored}}},
    )
    assert [(row.at, row.predictions, row.ups, row.scored, row.hits) for row in response.markers] == [
        (60_000, 4, 3, 3, 2),
        (120_000, 2, 0, 0, 0),
    ]

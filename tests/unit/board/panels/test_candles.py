import pytest
from tapeline.records import candle
from tapeline_board.api.query_params import MINUTES_MAX, Span
from tapeline_board.panels import candles

from unit.board import factories
from unit.board.searches import search

SPAN = Span(factories.START_MS, factories.START_MS + 3_600_000)
MINUTE_MS = candle.MINUTE_MS
fields = factories.fields_of


def minutes(*numbers, **more):
    return [factories.candle_of(factories.START_MS + number * MINUTE_MS, 100.0 + number, **more) for number in numbers]


def times(response):
    return [(row.at - factories.START_MS) // MINUTE_MS for row in response.candles]


def test_candles_are_oldest_first_with_the_windows_of_the_newest():
    response = candles.candles_response(factories.INSTRUMENT, minutes(3, 2, 1))
    assert times(response) == [1, 2, 3]
    assert (response.candles[2].close, response.candles[2].sma_20) == (103.0, 103.0)
    assert [window.window for window in response.windows] == list(candle.WINDOWS_MINUTES)
    assert response.windows[1].volume == float(candle.windowed_fields().index("volume_5m"))
    assert response.is_snapshot


def test_a_field_that_is_warming_up_is_null():
    (row,) = candles.candles_response(factories.INSTRUMENT, minutes(1, rsi_14=None)).candles
    assert row.rsi_14 is None


def test_one_candle_more_than_the_limit_sets_is_truncated():
    many = minutes(*range(MINUTES_MAX, -1, -1))
    response = candles.candles_response(factories.INSTRUMENT, many)
    assert (len(response.candles), response.is_truncated, times(response)[0]) == (MINUTES_MAX, True, 1)
    assert not candles.candles_response(factories.INSTRUMENT, many[:-1]).is_truncated


def test_an_old_candle_that_changed_comes_with_the_windows_of_the_newest():
    old, newest = minutes(1, return_bp_1m=-1.0)[0], minutes(9, return_bp_1m=5.5)[0]
    response = candles.candles_response(factories.INSTRUMENT, [old], newest)
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
        factories.INSTRUMENT,
        {"aggregations": {"minutes": {"buckets": predicted}}},
        {"aggregations": {"minutes": {"buckets": scored}}},
    )
    assert [(row.at, row.predictions, row.ups, row.scored, row.hits) for row in response.markers] == [
        (60_000, 4, 3, 3, 2),
        (120_000, 2, 0, 0, 0),
    ]


@pytest.mark.parametrize("instrument", [factories.INSTRUMENT, factories.ELSEWHERE, factories.LINEAR], ids=str)
def test_candles_of_the_same_symbol_elsewhere_are_not_shown(instrument):
    every = (factories.INSTRUMENT, factories.ELSEWHERE, factories.LINEAR)
    documents = [one for place in every for one in minutes(1, 2, volume=1.0 + every.index(place), **fields(place))]
    requests = (
        candles.span_request(SPAN, instrument),
        candles.recent_request(instrument),
        candles.changed_request(instrument, factories.START_MS),
    )
    for request in requests:
        found = [hit["_source"] for hit in search(request, *documents)["hits"]["hits"]]
        response = candles.candles_response(instrument, found)
        assert response.instrument == instrument
        assert [row.volume for row in response.candles] == [1.0 + every.index(instrument)] * 2


@pytest.mark.parametrize("instrument", [factories.INSTRUMENT, factories.ELSEWHERE, factories.LINEAR], ids=str)
def test_markers_count_predictions_and_outcomes_of_their_own_venue(instrument):
    counts = {factories.INSTRUMENT: 3, factories.ELSEWHERE: 5, factories.LINEAR: 7}
    trades = [
        factories.trade(number, factories.START_MS + number, probability=0.7, **fields(place))
        for place, count in counts.items()
        for number in range(count)
    ]
    scores = [factories.score_of(factories.START_MS, 10 * n, n, n, **fields(place)) for place, n in counts.items()]
    response = candles.markers_response(
        instrument,
        search(candles.predicted_request(SPAN, instrument), *trades),
        search(candles.scored_request(SPAN, instrument), *scores),
    )
    (row,) = response.markers
    count = counts[instrument]
    assert (response.instrument, row.predictions, row.scored, row.hits) == (instrument, count, 10 * count, count)

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tapeline_board.api.query_params import (
    BUCKETS_MAX,
    DAY_MS,
    Filters,
    Span,
    SpanQuery,
    StreamQuery,
    TradeQuery,
    aligned_window,
    interval_ms,
    latest_minutes,
)
from tapeline_board.errors import InvalidQuery

NOW_MS = 1_700_000_040_123


@settings(deadline=None)
@given(st.integers(1, 232 * DAY_MS), st.integers(0, 10**10))
def test_no_span_has_more_buckets_than_are_shown(length_ms, offset_ms):
    span = Span(NOW_MS + offset_ms, NOW_MS + offset_ms + length_ms)
    step = interval_ms(span)
    assert step >= 1000
    assert (span.to_ms - 1) // step - span.from_ms // step + 1 <= BUCKETS_MAX


@settings(deadline=None)
@given(st.integers(60_000, DAY_MS), st.integers(0, 10**10))
def test_a_moving_window_keeps_its_buckets(window_ms, passed_ms):
    span = aligned_window(NOW_MS + passed_ms, window_ms)
    step = interval_ms(Span(0, window_ms))
    assert span.from_ms % step == 0
    assert window_ms <= span.to_ms - 1 - span.from_ms < window_ms + step
    assert span.to_ms == NOW_MS + passed_ms + 1


def test_latest_minutes_include_the_current_one():
    assert latest_minutes(1_700_000_040_000, 1) == Span(1_700_000_040_000, 1_700_000_100_000)
    assert latest_minutes(1_700_000_099_999, 2) == Span(1_699_999_980_000, 1_700_000_100_000)


def test_filters_are_clauses_and_no_filter_is_no_clause():
    assert Filters().clauses() == []
    assert Filters("spot", ("A", "B"), "Sell", 0, "ok").clauses() == [
        {"term": {"market_type": "spot"}},
        {"term": {"side": "Sell"}},
        {"term": {"prediction": 0}},
        {"term": {"prediction_state": "ok"}},
        {"terms": {"symbol": ["A", "B"]}},
    ]


def test_the_same_symbols_in_another_order_are_the_same_query():
    one, other = TradeQuery(symbol=["B", "A", "B"]), TradeQuery(symbol=["A", "B"])
    assert one.filters() == other.filters()
    assert StreamQuery(symbol=["B", "A"]).filters() == other.filters()


def test_instrument_filters_have_neither_side_nor_prediction():
    assert Filters("spot", ("A",), "Buy", 1, "ok").instrument_filters() == Filters("spot", ("A",))


def test_the_default_span_is_the_last_15_minutes():
    assert SpanQuery().span(NOW_MS) == Span(NOW_MS + 1 - 900_000, NOW_MS + 1)
    assert SpanQuery.model_validate({"to": NOW_MS}).span(0) == Span(NOW_MS - 900_000, NOW_MS)


@pytest.mark.parametrize(("from_ms", "to_ms"), [(NOW_MS, NOW_MS), (NOW_MS + 1, NOW_MS), (NOW_MS - DAY_MS - 1, NOW_MS)])
def test_an_empty_or_too_long_span_is_invalid(from_ms, to_ms):
    with pytest.raises(InvalidQuery, match="no more than 24 h"):
        SpanQuery.model_validate({"from": from_ms, "to": to_ms}).span(NOW_MS, DAY_MS)

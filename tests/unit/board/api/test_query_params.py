import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tapeline.enums import MarketType, Side
from tapeline.instrument import Instrument
from tapeline_board.api.query_params import (
    BUCKETS_MAX,
    DAY_MS,
    ChartQuery,
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

from unit.board import factories
from unit.board.searches import matches

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
    assert Filters((), "bybit", MarketType.SPOT, Side.SELL, 0, "ok").clauses() == [
        {"term": {"venue": "bybit"}},
        {"term": {"market_type": "spot"}},
        {"term": {"side": "Sell"}},
        {"term": {"prediction": 0}},
        {"term": {"prediction_state": "ok"}},
    ]


_MARKETS = st.sampled_from(
    [Instrument(*parts) for parts in itertools.product(("bybit", "other"), MarketType, ("A", "B", "C"))]
)


@settings(deadline=None)
@given(
    st.sets(_MARKETS, max_size=5),
    st.sampled_from([None, "bybit", "other"]),
    st.sampled_from([None, *MarketType]),
    _MARKETS,
)
def test_a_document_matches_by_venue_market_type_and_symbol_together(chosen, venue, market_type, instrument):
    document = factories.fields_of(instrument)
    query = {"bool": {"filter": Filters(tuple(sorted(chosen)), venue, market_type).clauses()}}
    fits = (not chosen or instrument in chosen) and venue in (None, instrument.venue)
    assert matches(document, query) is (fits and market_type in (None, instrument.market_type))


A, B = "bybit:spot:A", "other:spot:A"


def test_the_same_instruments_in_another_order_are_the_same_query():
    one, other = TradeQuery(instrument=[B, A, B]), TradeQuery(instrument=[A, B])
    assert one.filters() == other.filters() == Filters((Instrument.parse(A), Instrument.parse(B)))
    assert StreamQuery(instrument=[B, A]).filters() == other.filters()
    assert TradeQuery(instrument=[A]).filters() != TradeQuery(instrument=[B]).filters()


def test_the_chart_has_one_instrument():
    assert ChartQuery(instrument=A).one() == Instrument("bybit", MarketType.SPOT, "A")
    assert StreamQuery(chart_instrument=A).chart() == Instrument("bybit", MarketType.SPOT, "A")
    assert StreamQuery().chart() is None


@pytest.mark.parametrize("text", ["canary", "spot:canary", "bybit:canary:A", "Canary:spot:A", "bybit:spot:can|ary", ""])
@pytest.mark.parametrize("query", [ChartQuery, TradeQuery, StreamQuery])
def test_what_is_no_instrument_is_refused_in_words_without_repeating_it(query, text):
    with pytest.raises(ValidationError, match="must be venue:market_type:symbol, such as bybit:spot:BTCUSDT") as caught:
        query(instrument=text if query is ChartQuery else [text])
    assert "canary" not in " ".join(error["msg"] for error in caught.value.errors()).lower()


@pytest.mark.parametrize(
    ("name", "other"),
    [("symbol", "instrument"), ("chart_symbol", "chart_instrument"), ("chart_market_type", "chart_instrument")],
)
def test_a_symbol_without_its_venue_is_refused_in_words(name, other):
    with pytest.raises(ValidationError, match=f"{name} names no instrument; use {other}=venue:market_type:symbol"):
        StreamQuery.model_validate({name: "BTCUSDT"})


def test_instrument_filters_have_neither_side_nor_prediction():
    instruments = (Instrument.parse(A),)
    filters = Filters(instruments, "bybit", MarketType.SPOT, Side.BUY, 1, "ok")
    assert filters.instrument_filters() == Filters(instruments, "bybit", MarketType.SPOT)


def test_the_default_span_is_the_last_15_minutes():
    assert SpanQuery().span(NOW_MS) == Span(NOW_MS + 1 - 900_000, NOW_MS + 1)
    assert SpanQuery.model_validate({"to": NOW_MS}).span(0) == Span(NOW_MS - 900_000, NOW_MS)


@pytest.mark.parametrize(("from_ms", "to_ms"), [(NOW_MS, NOW_MS), (NOW_MS + 1, NOW_MS), (NOW_MS - DAY_MS - 1, NOW_MS)])
def test_an_empty_or_too_long_span_is_invalid(from_ms, to_ms):
    with pytest.raises(InvalidQuery, match="no more than 24 h"):
        SpanQuery.model_validate({"from": from_ms, "to": to_ms}).span(NOW_MS, DAY_MS)

from hypothesis import example, given
from hypothesis import strategies as st
from tapeline.records.gap import Gap, touches
from tapeline_board.api.query_params import Filters, Span
from tapeline_board.panels import gaps

from unit.board import factories
from unit.board.searches import search

SPAN = Span(factories.START_MS, factories.START_MS + 60_000)


def test_one_row_more_than_the_limit_sets_is_truncated():
    many = [factories.gap_of(factories.START_MS, factories.START_MS + 5)] * (gaps.ROWS + 1)
    response = gaps.gaps_response(factories.hits(*many))
    assert (len(response.gaps), response.is_truncated) == (gaps.ROWS, True)
    assert not gaps.gaps_response(factories.hits(*many[:-1])).is_truncated


def test_gaps_of_the_same_symbol_at_another_venue_are_not_shown():
    ours = factories.gap_of(factories.START_MS, factories.START_MS + 5)
    documents = (
        ours,
        factories.gap_of(factories.START_MS, factories.START_MS + 5, venue="other"),
        factories.gap_of(factories.START_MS, factories.START_MS + 5, market_type="linear"),
    )
    request = gaps.gaps_request(SPAN, Filters((factories.INSTRUMENT,)))
    assert gaps.gaps_response(search(request, *documents)) == gaps.gaps_response(factories.hits(ours))
    everything = gaps.gaps_response(search(gaps.gaps_request(SPAN, Filters()), *documents))
    shown = {(row.venue, row.market_type, row.symbol) for row in everything.gaps}
    assert shown == {("bybit", "spot", "BTCUSDT"), ("other", "spot", "BTCUSDT"), ("bybit", "linear", "BTCUSDT")}


_TIMES = st.integers(-3, 63).map(lambda step: factories.START_MS + step * 1_000)


@given(_TIMES, _TIMES)
@example(SPAN.from_ms - 5, SPAN.from_ms)
@example(SPAN.to_ms, SPAN.to_ms + 5)
def test_the_gaps_of_a_span_are_those_that_touch_it(one_ms, other_ms):
    document = factories.gap_of(min(one_ms, other_ms), max(one_ms, other_ms))
    found = gaps.gaps_response(search(gaps.gaps_request(SPAN, Filters()), document)).gaps
    assert bool(found) is touches(Gap.model_validate(document), SPAN.from_ms, SPAN.to_ms)

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

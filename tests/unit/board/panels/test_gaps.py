from tapeline_board.api.query_params import Filters, Span
from tapeline_board.panels import gaps

from unit.board import factories

SPAN = Span(factories.START_MS, factories.START_MS + 60_000)


def test_one_row_more_than_the_limit_sets_is_truncated():
    many = [factories.gap_of(factories.START_MS, factories.START_MS + 5)] * (gaps.ROWS + 1)
    response = gaps.gaps_response(factories.hits(*many))
    assert (len(response.gaps), response.is_truncated) == (gaps.ROWS, True)
    assert not gaps.gaps_response(factories.hits(*many[:-1])).is_truncated


def test_gaps_are_requested_by_instrument():
    filters = Filters("spot", ("A",))
    clauses = gaps.gaps_request(SPAN, filters).body["query"]["bool"]["filter"]
    assert all(clause in clauses for clause in filters.clauses())

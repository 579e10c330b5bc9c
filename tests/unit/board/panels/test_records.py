from tapeline_board.api.query_params import Filters, Span
from tapeline_board.panels import records

from unit.board import made

SPAN = Span(made.START_MS, made.START_MS + 60_000)


def test_one_more_row_than_shown_says_that_there_are_others():
    many = [made.gap_of(made.START_MS, made.START_MS + 5)] * (records.ROWS + 1)
    assert (len(records.gaps(made.hits(*many)).gaps), records.gaps(made.hits(*many)).is_cut) == (records.ROWS, True)
    assert not records.gaps(made.hits(*many[:-1])).is_cut
    many = [made.alert_of(made.START_MS, number) for number in range(records.ROWS + 1)]
    assert (len(records.alerts(made.hits(*many)).alerts), records.alerts(made.hits(*many)).is_cut) == (200, True)


def test_an_alert_about_a_model_has_no_symbol():
    document = {
        key: value for key, value in made.alert_of(made.START_MS).items() if key not in ("symbol", "market_type")
    }
    (row,) = records.alerts(made.hits(document | {"kind": "model_expired"})).alerts
    assert (row.symbol, row.market_type, row.kind) == (None, None, "model_expired")


def test_both_are_asked_for_by_market():
    filters = Filters("spot", ("A",))
    for question in (records.gaps_question(SPAN, filters), records.alerts_question(SPAN, filters)):
        clauses = question.body["query"]["bool"]["filter"]
        assert all(clause in clauses for clause in filters.clauses())

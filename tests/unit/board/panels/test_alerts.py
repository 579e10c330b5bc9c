from tapeline_board.api.query_params import Filters, Span
from tapeline_board.panels import alerts

from unit.board import factories

SPAN = Span(factories.START_MS, factories.START_MS + 60_000)


def test_one_row_more_than_the_limit_sets_is_truncated():
    many = [factories.alert_of(factories.START_MS, number) for number in range(alerts.ROWS + 1)]
    response = alerts.alerts_response(factories.hits(*many))
    assert (len(response.alerts), response.is_truncated) == (200, True)
    assert not alerts.alerts_response(factories.hits(*many[:-1])).is_truncated


def test_an_alert_about_a_model_has_no_symbol():
    alert = factories.alert_of(factories.START_MS)
    document = {key: value for key, value in alert.items() if key not in ("symbol", "market_type")}
    (row,) = alerts.alerts_response(factories.hits(document | {"kind": "model_expired"})).alerts
    assert (row.symbol, row.market_type, row.kind) == (None, None, "model_expired")


def test_alerts_are_requested_by_instrument():
    filters = Filters("spot", ("A",))
    clauses = alerts.alerts_request(SPAN, filters).body["query"]["bool"]["filter"]
    assert all(clause in clauses for clause in filters.clauses())

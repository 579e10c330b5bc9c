from tapeline_board.api.query_params import Filters, Span
from tapeline_board.panels import alerts

from unit.board import factories
from unit.board.searches import search

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
    assert (row.venue, row.symbol, row.market_type, row.kind) == ("bybit", None, None, "model_expired")


def test_alerts_of_the_same_symbol_at_another_venue_are_not_shown():
    ours = factories.alert_of(factories.START_MS)
    documents = (
        ours,
        factories.alert_of(factories.START_MS, venue="other"),
        factories.alert_of(factories.START_MS, market_type="linear"),
    )
    request = alerts.alerts_request(SPAN, Filters((factories.INSTRUMENT,)))
    assert alerts.alerts_response(search(request, *documents)) == alerts.alerts_response(factories.hits(ours))
    everything = alerts.alerts_response(search(alerts.alerts_request(SPAN, Filters()), *documents))
    shown = {(row.venue, row.market_type, row.symbol) for row in everything.alerts}
    assert shown == {("bybit", "spot", "BTCUSDT"), ("other", "spot", "BTCUSDT"), ("bybit", "linear", "BTCUSDT")}

import pytest
from tapeline_board.api.query_params import Span
from tapeline_board.panels import symbols

from unit.board import factories
from unit.board.searches import by_instrument, search

SPAN = Span(factories.START_MS, factories.START_MS + 3_600_000)


def one_hit(**source):
    return {"hits": {"hits": [{"_source": source}]}}


def bucket(symbol, trades, volume=4.0, bought=1.0, first=100.0, last=101.0):
    sums = {"trades": trades, "notional": 5.0, "volume": volume, "buy_volume": bought}
    return {
        "key": symbol,
        "doc_count": 60,
        **{name: {"value": value} for name, value in sums.items()},
        "first": one_hit(open=first),
        "last": one_hit(close=last),
    }


def found(left_out=0, **market_types):
    return {"aggregations": by_instrument("symbols", left_out, bybit=market_types)}


def newest(symbol, **trade):
    return {"key": symbol, "doc_count": 3, "newest": one_hit(**trade)}


def test_the_most_active_come_first_over_all_market_types():
    response = symbols.symbols_response(
        SPAN, found(spot=[bucket("A", 5), bucket("B", 9)], linear=[bucket("A", 7)]), {"hits": {}}
    )
    assert [(row.market_type, row.symbol, row.trades) for row in response.symbols] == [
        ("spot", "B", 9),
        ("linear", "A", 7),
        ("spot", "A", 5),
    ]
    assert not response.is_truncated


def test_the_newest_trade_overrides_the_last_candle_of_its_own_market_type():
    trade = newest(
        "A", price="102.50", probability=0.7, prediction=1, prediction_state="ok", **{"@timestamp": factories.START_MS}
    )
    response = symbols.symbols_response(
        SPAN, found(spot=[bucket("A", 5)], linear=[bucket("A", 7)]), found(spot=[trade])
    )
    linear, spot = response.symbols
    assert (spot.last_price, spot.probability, spot.state, spot.traded_at) == (102.5, 0.7, "ok", factories.START_MS)
    assert spot.change_bp == pytest.approx(250.0)
    assert (linear.last_price, linear.probability, linear.state, linear.traded_at) == (101.0, None, None, None)


def test_an_hour_without_volume_has_no_share_and_no_share_exceeds_one():
    response = symbols.symbols_response(
        SPAN, found(spot=[bucket("A", 2, 0.3, 0.1 + 0.2), bucket("B", 1, 0.0, 0.0)]), {"hits": {}}
    )
    assert [row.buy_share for row in response.symbols] == [1.0, None]


def test_a_list_that_lacks_symbols_is_truncated():
    assert symbols.symbols_response(SPAN, found(3, spot=[bucket("A", 5)]), {"hits": {}}).is_truncated
    many = [bucket(f"S{number}", number) for number in range(501)]
    response = symbols.symbols_response(SPAN, found(spot=many), {"hits": {}})
    assert (len(response.symbols), response.is_truncated) == (500, True)


def test_more_venues_than_are_counted_is_truncated():
    hour = found(spot=[bucket("A", 5)])
    hour["aggregations"]["venues"]["sum_other_doc_count"] = 1
    assert symbols.symbols_response(SPAN, hour, {"hits": {}}).is_truncated


def test_the_same_symbol_at_two_venues_is_two_rows_each_with_its_own_candles_and_trade():
    closes = {factories.ELSEWHERE: 300.0, factories.LINEAR: 200.0, factories.INSTRUMENT: 100.0}
    candles = [
        factories.candle_of(factories.START_MS, close, round(close), **factories.fields_of(instrument))
        for instrument, close in closes.items()
    ]
    prices = {factories.ELSEWHERE: 301.0, factories.INSTRUMENT: 101.0}
    trades = [
        factories.trade(1, factories.START_MS + 1, price, **factories.fields_of(place))
        for place, price in prices.items()
    ]
    hour = search(symbols.hour_request(SPAN), *candles)
    newest_ = search(symbols.newest_request(factories.START_MS + 2), *trades)
    rows = symbols.symbols_response(SPAN, hour, newest_).symbols
    assert {row.instrument: row.last_price for row in rows} == closes | prices
    assert [row.instrument for row in rows] == list(closes), "most trades first"
    assert [row.trades for row in rows] == [300, 200, 100]

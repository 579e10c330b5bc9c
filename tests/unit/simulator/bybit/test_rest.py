"""REST responses: numbers as strings, latest first, capped limits, pages on linear only."""

import httpx
import pytest
from tapeline_simulator.bybit import rest
from tapeline_simulator.bybit.frames import instrument_of

from unit.simulator.factories import BTC, T0, info, trade

NOW_NS = 1688639403423213947


class ExchangeView:
    def __init__(self, linear: int = 3, trades: int = 0) -> None:
        instruments = [
            BTC,
            instrument_of("spot", "ETHUSDT"),
            *(instrument_of("linear", f"A{n:03d}USDT") for n in range(linear)),
            instrument_of("inverse", "BTCUSD"),
        ]
        self.instruments = {instrument: info(instrument.market_type, instrument.symbol) for instrument in instruments}
        self._trades = [trade(number, is_rpi=True) for number in range(trades, 0, -1)]

    def recent(self, instrument, limit):
        return self._trades[:limit]


def request(path: str, view: ExchangeView | None = None, **parameters: str):
    return rest.respond(path, parameters, view or ExchangeView(), NOW_NS)


def test_time_is_in_strings_inside_the_envelope():
    assert rest.envelope(request("time"), NOW_NS) == {
        "retCode": 0,
        "retMsg": "OK",
        "result": {"timeSecond": "1688639403", "timeNano": "1688639403423213947"},
        "retExtInfo": {},
        "time": 1688639403423,
    }


def test_recent_trades_are_texts_newest_first_with_the_streams_ids():
    listed = request("recent-trade", ExchangeView(trades=3), category="spot", symbol="BTCUSDT", limit="2").result[
        "list"
    ]
    assert [row["execId"] for row in listed] == [trade(3).trade_id, trade(2).trade_id]
    assert listed[0] == {
        "execId": trade(3).trade_id,
        "symbol": "BTCUSDT",
        "price": "83805.1",
        "size": "0.001466",
        "side": "Buy",
        "time": str(T0 + 3),
        "isBlockTrade": False,
        "isRPITrade": True,
        "seq": "115058640187",
    }


@pytest.mark.parametrize(
    ("category", "symbol", "limit", "count"),
    [
        ("spot", "BTCUSDT", None, 60),
        ("spot", "BTCUSDT", "1000", 60),
        ("linear", "A000USDT", None, 500),
        ("linear", "A000USDT", "5000", 1000),
        ("inverse", "BTCUSD", None, 500),
        ("inverse", "BTCUSD", "5000", 1000),
    ],
)
def test_limit_is_cut_to_what_the_category_gives(category, symbol, limit, count):
    parameters = {"category": category, "symbol": symbol, "startTime": "1", **({"limit": limit} if limit else {})}
    assert len(request("recent-trade", ExchangeView(trades=2000), **parameters).result["list"]) == count


@pytest.mark.parametrize(
    ("path", "parameters", "code"),
    [
        ("recent-trade", {"category": "option", "symbol": "BTCUSDT"}, 10001),
        ("recent-trade", {"category": "spot"}, 10001),
        ("recent-trade", {"category": "spot", "symbol": "NOPEUSDT"}, 10029),
        ("recent-trade", {"category": "spot", "symbol": "btcusdt"}, 10029),
        ("recent-trade", {"category": "spot", "symbol": "BTCUSDT", "limit": "0"}, 10001),
        ("recent-trade", {"category": "spot", "symbol": "BTCUSDT", "limit": "²"}, 10001),
        ("tickers", {}, 10001),
        ("tickers", {"category": "linear", "symbol": "BTCUSDT"}, 10029),
        ("instruments-info", {"category": "linear", "cursor": "first%3DX%26last%3DX"}, 10001),
    ],
)
def test_wrong_parameters_have_their_code_and_an_empty_result(path, parameters, code):
    result = request(path, **parameters)
    assert (result.code, result.result) == (code, {}) and result.message


def test_unknown_path_has_no_result():
    assert request("orderbook", category="spot") is None


def test_instruments_are_pages_on_linear_and_one_list_on_spot():
    spot = request("instruments-info", category="spot", limit="1").result
    assert "nextPageCursor" not in spot and len(spot["list"]) == 2
    symbols, cursor, pages = [], "", 0
    while pages == 0 or cursor:
        parameters = {"category": "linear", "limit": "100", **({"cursor": cursor} if cursor else {})}
        # As a client sends it: put into the query as it is, or encoded once more.
        url = httpx.URL("http://host/", params=parameters) if pages % 2 else f"http://host/?cursor={cursor}"
        decoded = dict(httpx.URL(url).params)
        result = request(
            "instruments-info", ExchangeView(linear=250), **{**parameters, **({} if not cursor else decoded)}
        )
        symbols += [item["symbol"] for item in result.result["list"]]
        cursor, pages = result.result["nextPageCursor"], pages + 1
    assert pages == 3 and symbols == [f"A{n:03d}USDT" for n in range(250)]


def test_cursor_is_given_url_encoded():
    result = request("instruments-info", category="linear", limit="2").result
    assert result["nextPageCursor"] == "first%3DA000USDT%26last%3DA001USDT"


def test_instruments_have_no_volume_and_only_trading_ones_exist():
    for category in ("spot", "linear", "inverse"):
        items = request("instruments-info", category=category).result["list"]
        assert items and not any("volume24h" in item or "turnover24h" in item for item in items)
        assert request("instruments-info", category=category, status="Closed").result["list"] == []


def test_tickers_are_texts_with_turnover_and_the_last_price():
    listed = request("tickers", ExchangeView(trades=1), category="spot").result["list"]
    assert [item["symbol"] for item in listed] == ["BTCUSDT", "ETHUSDT"]
    assert all(isinstance(value, str) for value in listed[0].values())
    assert (listed[0]["lastPrice"], listed[0]["turnover24h"], listed[0]["volume24h"]) == ("83805.1", "201", "2")

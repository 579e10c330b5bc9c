import json
import os
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tapeline.enums import MarketType, QuantityUnit
from tapeline.instrument import Instrument, instrument_of
from tapeline.trade import WIRE_COLUMNS, WireTrade
from tapeline_producer.exchange.bybit import messages
from tapeline_producer.exchange.bybit.messages import Ack, ParseFailure, Pong, TradeBatch
from tapeline_producer.exchange.symbol_selection import ListedInstrument

from unit.producer.factories import BTC, BTC_LINEAR, ETH, START_MS, fill, frame

BTC_LISTED = ListedInstrument(BTC, "BTC", "USDT")
EXPECTED = {"BTCUSDT": BTC_LISTED, "ETHUSDT": ListedInstrument(ETH, "ETH", "USDT")}
INVERSE = ListedInstrument(Instrument("bybit", MarketType.INVERSE, "BTCUSD"), "BTC", "USD")


def parse(raw: bytes) -> messages.Message:
    return messages.parse_frame(raw, EXPECTED, START_MS)


def trades_of(raw: bytes) -> TradeBatch:
    message = parse(raw)
    assert isinstance(message, TradeBatch)
    return message


def test_trade_has_exactly_the_columns_of_the_table_in_its_order() -> None:
    assert list(messages.Trade.__struct_fields__) == [column.name for column in WIRE_COLUMNS]


def test_spot_frame_becomes_a_record_the_contract_accepts() -> None:
    (trade,) = trades_of(frame(fill(1))).trades
    trade.produced_at = START_MS
    stored = WireTrade.model_validate_json(msgspec.json.encode(trade)).model_dump()
    assert (stored["price"], stored["quantity"], stored["sequence"]) == ("83805.10", "0.001466", 101)
    assert (stored["market_type"], stored["is_rpi"], stored["source"]) == ("spot", True, "stream")


def test_record_names_the_assets_of_the_list_and_the_quantity_in_the_base_asset() -> None:
    (trade,) = trades_of(frame(fill(1))).trades
    assert (trade.venue, trade.base, trade.quote) == ("bybit", "BTC", "USDT")
    assert (trade.quantity_unit, trade.contract_size, trade.base_quantity) == (QuantityUnit.BASE, None, "0.001466")


def test_record_without_a_list_has_no_assets() -> None:
    message = messages.parse_frame(frame(fill(1)), {"BTCUSDT": ListedInstrument(BTC)}, START_MS)
    assert isinstance(message, TradeBatch)
    stored = json.loads(msgspec.json.encode(message.trades[0]))
    assert (stored["base"], stored["quote"]) == (None, None)


def test_inverse_frame_counts_in_the_quote_asset() -> None:
    """The frame has the form of a linear one; a contract is 1 USD, so 500 of them at 80000 are 0.00625 BTC."""
    raw = frame(fill(1, s="BTCUSD", v="500", p="80000.00", L="PlusTick"), topic="publicTrade.BTCUSD")
    message = messages.parse_frame(raw, {"BTCUSD": INVERSE}, START_MS)
    assert isinstance(message, TradeBatch)
    (trade,) = message.trades
    trade.produced_at = START_MS
    stored = WireTrade.model_validate_json(msgspec.json.encode(trade)).model_dump()
    assert (stored["market_type"], stored["symbol"]) == ("inverse", "BTCUSD")
    assert (stored["quantity"], stored["quantity_unit"], stored["contract_size"]) == ("500", "quote", None)
    assert (stored["base_quantity"], stored["base"], stored["quote"]) == ("0.00625", "BTC", "USD")


@settings(deadline=None)
@given(price=st.integers(1, 10**9), quantity=st.integers(1, 10**9))
def test_base_quantity_of_an_inverse_trade_times_its_price_is_its_quantity(price: int, quantity: int) -> None:
    raw = frame(fill(1, s="BTCUSD", v=str(quantity), p=str(price)), topic="publicTrade.BTCUSD")
    message = messages.parse_frame(raw, {"BTCUSD": INVERSE}, START_MS)
    assert isinstance(message, TradeBatch)
    product = Decimal(message.trades[0].base_quantity) * price
    assert abs(product - quantity) <= Decimal(quantity) * Decimal(10) ** -17


def test_inverse_rest_response_is_parsed_like_the_stream() -> None:
    item = {"execId": "t1", "symbol": "BTCUSD", "price": "80000.00", "size": "500", "side": "Sell"}
    items = [{**item, "time": str(START_MS), "isBlockTrade": False, "isRPITrade": False, "seq": "1"}]
    (trade,) = messages.parse_recent_trades(json.dumps(items).encode(), INVERSE, START_MS).trades
    assert (trade.base_quantity, trade.quantity_unit, trade.market_type) == ("0.00625", "quote", "inverse")


@pytest.mark.parametrize(
    ("market_type", "limit", "sizes"),
    [(MarketType.SPOT, 60, [10] * 6), (MarketType.LINEAR, 1000, [50, 10]), (MarketType.INVERSE, 1000, [50, 10])],
)
def test_limits_of_each_market(market_type: MarketType, limit: int, sizes: list[int]) -> None:
    assert messages.BACKFILL_LIMIT[market_type] == limit
    batches = messages.request_batches(market_type, [f"t{n}" for n in range(60)])
    assert [len(batch) for batch in batches] == sizes


def test_linear_frame_with_tick_direction_and_unknown_fields_is_parsed() -> None:
    raw = b"""{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1791365008335,"new":[{}],"data":[{"T":1791365008334,
    "s":"BTCUSDT","S":"Sell","v":"0.001","p":"83766.30","L":"PlusTick","i":"68bc1c35-dcc0-58e8-a4c5-f59a6b790814",
    "BT":false,"RPI":false,"seq":821670598155}]}"""
    message = messages.parse_frame(raw, {"BTCUSDT": ListedInstrument(BTC_LINEAR)}, START_MS)
    assert isinstance(message, TradeBatch)
    (trade,) = message.trades
    assert (trade.side, trade.price, trade.market_type) == ("Sell", "83766.30", "linear")


@pytest.mark.parametrize("missing", [("seq",), ("RPI",), ("BT",), ("seq", "RPI", "BT")])
def test_frame_of_before_2025_without_the_later_fields_is_parsed(missing: tuple[str, ...]) -> None:
    old = {name: value for name, value in fill(1).items() if name not in missing}
    (trade,) = trades_of(frame(old)).trades
    assert (trade.sequence is None) == ("seq" in missing)
    WireTrade.model_validate_json(
        msgspec.json.encode(trade).replace(b'"produced_at":0', b'"produced_at":1790000000000')
    )


def test_time_as_text_is_parsed_like_time_as_number() -> None:
    assert trades_of(frame(fill(1, T=str(START_MS)))).trades[0].traded_at == START_MS


@pytest.mark.parametrize(
    "change",
    [
        {"p": 83805.1}, {"p": "NaN"}, {"p": "-1"}, {"p": "0"}, {"p": "1e5"}, {"p": "01"}, {"p": "1\n"}, {"p": ""},
        {"v": "0.000"}, {"v": "-0.5"}, {"v": None}, {"S": "buy"}, {"i": ""}, {"i": 17}, {"i": "a b"}, {"i": "x" * 65},
        {"T": START_MS / 1000}, {"T": START_MS * 1000}, {"T": 10**400}, {"T": "soon"}, {"T": None}, {"seq": -1},
        {"seq": 2**63}, {"seq": 10**400}, {"BT": "no"}, {"s": "ETHUSDT"}, {"s": "BTC USDT"},
    ],
)  # fmt: skip
def test_bad_trade_is_rejected_alone_with_its_own_bytes(change: dict[str, Any]) -> None:
    bad = fill(2, **change)
    message = trades_of(frame(fill(1), bad, fill(3)))
    assert [trade.trade_id for trade in message.trades] == ["t1", "t3"]
    assert [json.loads(reject.raw) for reject in message.rejects] == [bad]


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"hello", b"\xff\xfe", b"[]", b"7", b"null", b"{}", frame(fill(1))[:-3], b"[" * 200_000,
        b'{"topic":"publicTrade.BTCUSDT","data":null}', b'{"topic":"publicTrade.BTCUSDT","data":{"T":1}}',
        b'{"topic":"publicTrade.BTCUSDT","data":[{"p":NaN}]}', b'{"topic":7,"data":[]}',
        frame(fill(1), topic="publicTrade.DOGEUSDT"), frame(fill(1), topic="BTCUSDT"),
        frame(fill(1), topic="kline.1.BTCUSDT"),
    ],
)  # fmt: skip
def test_malformed_frame_is_one_parse_failure_with_all_its_bytes(raw: bytes) -> None:
    message = parse(raw)
    assert isinstance(message, ParseFailure)
    assert message.raw == raw and message.reason


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_parsed_without_an_exception(raw: bytes) -> None:
    assert isinstance(parse(raw), ParseFailure | Ack | Pong | TradeBatch)


_ANY_JSON = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.just([1]) | st.just({"p": "1"}) | st.sampled_from(["0.10", "1", "-1", "NaN", "1790000000000"])
)  # fmt: skip


@settings(deadline=None)
@given(
    st.lists(st.dictionaries(st.sampled_from([*fill(1)]), _ANY_JSON, max_size=4).map(lambda c: fill(1) | c), max_size=5)
)
def test_every_entry_of_a_frame_is_a_valid_trade_or_a_reject(fills: list[dict[str, Any]]) -> None:
    message = parse(frame(*fills))
    if isinstance(message, ParseFailure):
        # Python writes these, and lone surrogates, although JSON allows neither.
        assert re.search(rb": -?(NaN|Infinity)|\\\\u[dD]", message.raw)
        return
    assert isinstance(message, TradeBatch)
    assert len(message.trades) + len(message.rejects) == message.item_count == len(fills)
    for trade in message.trades:
        trade.produced_at = START_MS
        WireTrade.model_validate_json(msgspec.json.encode(trade))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"success":true,"ret_msg":"subscribe","req_id":"3","op":"subscribe"}', Ack("3", True, "subscribe")),
        (b'{"success":true,"ret_msg":"","conn_id":"db","req_id":"4","op":"subscribe"}', Ack("4", True, "")),
        (b'{"success":true,"ret_msg":"subscribe","conn_id":"d9","op":"subscribe"}', Ack("", True, "subscribe")),
        (b'{"success":false,"ret_msg":"args size >10","op":"subscribe"}', Ack("", False, "args size >10")),
        (b'{"success":true,"ret_msg":"pong","conn_id":"09","op":"ping"}', Pong()),
        (b'{"success":true,"ret_msg":"pong","conn_id":"46","req_id":"","op":"ping"}', Pong()),
        (b'{"args":["1672916271846"],"op":"pong"}', Pong()),
    ],
)  # fmt: skip
def test_responses_of_every_documented_form_are_distinguished(raw: bytes, expected: messages.Message) -> None:
    assert parse(raw) == expected


def test_rest_response_is_sorted_oldest_first_with_texts_as_numbers() -> None:
    items = [
        {"execId": f"t{n}", "symbol": "BTCUSDT", "price": "16618.49", "size": "0.00012", "side": "Buy",
         "time": str(START_MS + n), "isBlockTrade": False, "isRPITrade": True, "seq": str(n)}
        for n in (3, 2, 1)
    ]  # fmt: skip
    response = messages.parse_recent_trades(json.dumps(items).encode(), BTC_LISTED, START_MS)
    assert [(t.trade_id, t.traded_at, t.sequence) for t in response.trades] == [
        (f"t{n}", START_MS + n, n) for n in (1, 2, 3)
    ]
    assert response.trades[0].is_rpi is True and response.trades[0].source == "backfill"


def test_bad_item_of_a_rest_response_is_rejected_and_counted() -> None:
    response = messages.parse_recent_trades(b'[{"execId":"t1"}]', BTC_LISTED, START_MS)
    assert (response.trades, len(response.rejects), response.item_count) == ([], 1, 1)


def test_spot_requests_hold_ten_topics_at_most() -> None:
    sizes = [len(batch) for batch in messages.request_batches(MarketType.SPOT, [f"t{n}" for n in range(25)])]
    assert sizes == [10, 10, 5]


def test_characters_of_symbols_are_counted_as_in_a_request() -> None:
    symbols = [f"COIN{n}USDT" for n in range(800)]
    text = json.dumps([messages.trade_topic(symbol) for symbol in symbols], separators=(",", ":"))
    assert sum(map(messages.args_characters, symbols)) == len(text) - len("[]") + len(",")


def test_topics_in_an_error_text_are_found() -> None:
    assert messages.topics_in_text("Invalid symbol :[publicTrade.WBTCUSDT]") == {"publicTrade.WBTCUSDT"}
    assert messages.topics_in_text("error:handler not found,topic:publicTrade.1000PEPEUSDT") == {
        "publicTrade.1000PEPEUSDT"
    }


@pytest.mark.captures
def test_recorded_traffic_is_parsed_without_a_reject() -> None:
    folder = os.environ.get("CAPTURES")
    if not folder:
        pytest.skip("CAPTURES is not set: no recorded traffic to parse")
    lines = (Path(folder) / "bybit" / "bybit_v5_publicTrade_frames.jsonl").read_text().splitlines()
    item_count = 0
    for line in lines:
        record = json.loads(line)
        market_type, symbol = record["addr"].rsplit("/", 1)[-1], record["frame"]["topic"].split(".", 1)[1]
        listed = {symbol: ListedInstrument(instrument_of("bybit", market_type, symbol))}
        message = messages.parse_frame(json.dumps(record["frame"]).encode(), listed, START_MS)
        assert isinstance(message, TradeBatch) and not message.rejects
        assert [t.trade_id for t in message.trades] == [entry["i"] for entry in record["frame"]["data"]]
        item_count += message.item_count
    assert (len(lines), item_count) == (120, 347)

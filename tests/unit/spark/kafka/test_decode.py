import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tapeline.trade import COLUMNS, WIRE_COLUMNS, Stage, WireTrade
from tapeline_spark.kafka import decode
from tapeline_spark.kafka.decode import DecodedTrade, UnreadableRecord, decode_trade, object_body

from unit.spark.trade_factories import produced, record, value, wire, with_field

SCORED = tuple(column.name for column in COLUMNS if column.stage is Stage.SCORED)
UNKNOWN = (*SCORED, "@timestamp", "liquidation", "", "PRICE", "price ", "topic", "partition", "offset", "_id")
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    "changes",
    [
        {"price": "NaN"},
        {"price": "-1"},
        {"price": "0.000"},
        {"price": 83766.3},
        {"price": "1e5"},
        {"quantity": ""},
        {"side": "buy"},
        {"traded_at": 1_790_000_000},
        {"traded_at": 1_790_000_000_000_000},
        {"traded_at": "1790000000000"},
        {"frame_index": -1},
        {"sequence": 2**63},
        {"symbol": "BTC|USDT"},
        {"symbol": "BTCUSDT\n"},
        {"venue": "bybit\n"},
        {"trade_id": "t1\n"},
        {"price": "1.5\n"},
        {"trade_id": ""},
        {"is_rpi": "false"},
    ],
)
def test_a_value_the_record_does_not_allow_is_unreadable_here_and_in_pydantic(changes):
    bad = value(**changes)
    assert isinstance(decode_trade(bad, "t", 0, 7), UnreadableRecord)
    with pytest.raises(ValidationError):
        WireTrade.model_validate_json(bad)


@pytest.mark.parametrize("name", ["venue", "symbol", "contract_size", "base", "quote", "base_quantity"])
def test_a_bad_value_of_a_field_that_repeats_is_unreadable_also_after_good_ones(name):
    assert isinstance(decode_trade(value(), "t", 0, 6), DecodedTrade)
    for bad in (value(**{name: "a|b"}), value(**{name: "a|b"})):
        item = decode_trade(bad, "t", 0, 7)
        assert isinstance(item, UnreadableRecord) and name in item.reason
    assert isinstance(decode_trade(value(), "t", 0, 8), DecodedTrade)


def test_the_values_that_were_checked_once_are_bounded(monkeypatch):
    monkeypatch.setattr(decode, "_MAX_CHECKED", 3)
    for number in range(10):
        assert isinstance(decode_trade(value(symbol=f"S{number}"), "t", 0, number), DecodedTrade)
        assert len(decode._checked) <= 3


@given(st.binary(max_size=200))
def test_any_bytes_are_a_trade_or_a_reason_and_nothing_else(raw):
    item = decode_trade(raw, "t", 3, 9)
    assert isinstance(item, UnreadableRecord)
    assert item.reason and item.value == raw


def test_a_null_value_is_unreadable_with_a_reason():
    assert "null" in decode_trade(None, "t", 0, 0).reason


def test_digits_of_the_exchange_survive_to_the_document_body():
    body = object_body(record(price="0.00000120", quantity="10.500"))
    document = json.loads(body + b"}")
    assert (document["price"], document["quantity"]) == ("0.00000120", "10.500")


def test_a_trade_spread_over_lines_becomes_one_line():
    spread = json.dumps(json.loads(value()), indent=2).encode()
    item = decode_trade(spread, "t", 0, 0)
    assert isinstance(item, DecodedTrade)
    assert b"\n" not in object_body(item)
    assert json.loads(object_body(item) + b"}") == json.loads(spread)


@given(st.sampled_from(UNKNOWN), JSON, st.integers(0, len(WIRE_COLUMNS)))
def test_a_field_that_we_do_not_know_is_read_past_and_leaves_no_byte(name, content, place):
    plain = produced()
    item = decode_trade(with_field(plain, name, content, place), "t", 3, 9)
    assert isinstance(item, DecodedTrade)
    assert item == (decode_trade(plain, "t", 3, 9).trade, plain, "t", 3, 9, True)
    assert object_body(item) == object_body(decode_trade(plain, "t", 3, 9))


@given(st.permutations(list(wire().items())), st.sets(st.sampled_from([c.name for c in WIRE_COLUMNS if c.nullable])))
def test_order_of_fields_and_absent_fields_change_nothing_but_the_order(fields, absent):
    plain = {name: content for name, content in fields if name not in absent}
    item = decode_trade(json.dumps({"probability": 0.9, **plain}).encode(), "t", 0, 0)
    assert json.loads(object_body(item) + b"}") == plain
    assert item.trade == decode_trade(json.dumps(plain).encode(), "t", 0, 0).trade


@pytest.mark.parametrize("plain", [value(), produced()])
def test_a_record_of_known_fields_keeps_its_very_bytes(plain):
    item = decode_trade(plain, "t", 0, 0)
    assert (item.value, item.is_reencoded) == (plain, False)
    assert item.value is plain and object_body(item) == plain[:-1]


@pytest.mark.parametrize("column", [column.name for column in WIRE_COLUMNS])
def test_a_known_field_that_stands_twice_goes_on_as_it_is_and_once_when_encoded_anew(column):
    """Elasticsearch refuses the first one; in both cases the last one counts."""
    plain = produced()
    twice = with_field(plain, column, json.loads(plain)[column])
    assert decode_trade(twice, "t", 0, 0).value is twice
    assert decode_trade(with_field(twice, "model_digest", "other"), "t", 0, 0).value == plain


@pytest.mark.parametrize("change", [{"price": "-1"}, {"side": "buy"}, {"traded_at": 1}, {"symbol": "BTC USDT"}])
def test_an_unknown_field_makes_no_bad_record_readable_and_hides_no_reason(change):
    bad = with_field(value(**change), "liquidation", True)
    item = decode_trade(bad, "t", 0, 0)
    assert isinstance(item, UnreadableRecord)
    assert item.value == bad and f"$.{next(iter(change))}" in item.reason


@pytest.mark.parametrize("depth", [10, 100_000])
def test_an_unknown_field_of_any_depth_is_read_or_is_a_reason(depth):
    nested = produced()[:-1] + b',"probability":' + b"[" * depth + b"]" * depth + b"}"
    item = decode_trade(nested, "t", 0, 0)
    assert isinstance(item, DecodedTrade if depth == 10 else UnreadableRecord)

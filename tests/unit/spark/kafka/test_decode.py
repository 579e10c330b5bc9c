import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tapeline.trade import WireTrade
from tapeline_spark.kafka.decode import DecodedTrade, UnreadableRecord, decode_trade, object_body

from unit.spark.trade_factories import record, value


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
        {"trade_id": ""},
        {"is_rpi": "false"},
    ],
)
def test_a_value_the_record_does_not_allow_is_unreadable_here_and_in_pydantic(changes):
    bad = value(**changes)
    assert isinstance(decode_trade(bad, 0, 7), UnreadableRecord)
    with pytest.raises(ValidationError):
        WireTrade.model_validate_json(bad)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_trade_or_a_reason_and_nothing_else(raw):
    item = decode_trade(raw, 3, 9)
    assert isinstance(item, UnreadableRecord)
    assert item.reason and item.value == raw


def test_a_null_value_is_unreadable_with_a_reason():
    assert "null" in decode_trade(None, 0, 0).reason


def test_digits_of_the_exchange_survive_to_the_document_body():
    body = object_body(record(price="0.00000120", quantity="10.500"))
    document = json.loads(body + b"}")
    assert (document["price"], document["quantity"]) == ("0.00000120", "10.500")


def test_a_trade_spread_over_lines_becomes_one_line():
    spread = json.dumps(json.loads(value()), indent=2).encode()
    item = decode_trade(spread, 0, 0)
    assert isinstance(item, DecodedTrade)
    assert b"\n" not in object_body(item)
    assert json.loads(object_body(item) + b"}") == json.loads(spread)

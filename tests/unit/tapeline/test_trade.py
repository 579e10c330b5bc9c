import json

import pytest
from pydantic import ValidationError
from tapeline.trade import COLUMNS, WIRE_COLUMNS, StoredTrade, WireTrade, elastic_mapping, spark_schema

WIRE = {
    "venue": "bybit",
    "market_type": "linear",
    "symbol": "1000PEPEUSDT",
    "trade_id": "68bc1c35-dcc0-58e8-a4c5-f59a6b790814",
    "traded_at": 1_791_365_008_334,
    "price": "83766.30",
    "quantity": "0.001",
    "quantity_unit": "base",
    "contract_size": None,
    "base_quantity": "0.001",
    "base": "1000PEPE",
    "quote": "USDT",
    "side": "Buy",
    "sequence": 821_670_598_155,
    "frame_index": 0,
    "is_block_trade": False,
    "is_rpi": False,
    "received_at": 1_791_365_008_340,
    "produced_at": 1_791_365_008_341,
    "source": "stream",
}


def test_a_real_trade_is_accepted_and_keeps_its_digits():
    assert WireTrade(**WIRE).model_dump()["price"] == "83766.30"


@pytest.mark.parametrize("absent", ["sequence", "is_block_trade", "is_rpi", "contract_size", "base", "quote"])
def test_what_older_feeds_lack_may_be_absent(absent):
    trade = {name: value for name, value in WIRE.items() if name != absent}
    assert getattr(WireTrade(**trade), absent) is None


def test_a_field_of_a_later_release_is_ignored():
    assert WireTrade(**WIRE, liquidity="maker") == WireTrade(**WIRE)


@pytest.mark.parametrize("name", [column.name for column in WIRE_COLUMNS if not column.nullable])
def test_everything_else_must_be_there(name):
    trade = {key: value for key, value in WIRE.items() if key != name}
    with pytest.raises(ValidationError, match=name):
        WireTrade(**trade)


@pytest.mark.parametrize("price", ["0", "0.00", "-1", "+1", "1e5", ".5", "5.", "01", "NaN", "", " 1", "1" * 19])
def test_a_price_that_is_no_positive_plain_decimal_is_refused(price):
    with pytest.raises(ValidationError):
        WireTrade(**WIRE | {"price": price})


def test_the_three_forms_name_the_same_fields():
    stored = set(StoredTrade.model_fields)
    assert stored == {column.name for column in COLUMNS}
    assert set(elastic_mapping()["properties"]) == stored | {"@timestamp"}
    assert {part.split()[0] for part in spark_schema(COLUMNS).split(", ")} == stored


def test_the_mapping_takes_no_other_field_and_stores_numbers_as_numbers():
    mapping = elastic_mapping()
    assert mapping["dynamic"] == "strict"
    assert json.loads(json.dumps(mapping))["properties"]["price"] == {"type": "double"}


def test_spark_refuses_null_where_the_record_does():
    schema = dict(part.split(" ", 1) for part in spark_schema().split(", "))
    assert schema["price"] == "string NOT NULL"
    assert schema["sequence"] == "bigint"

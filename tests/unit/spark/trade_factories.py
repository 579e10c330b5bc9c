"""Factories of trades as Kafka values and decoded records."""

import itertools
import json

from tapeline import names
from tapeline.trade import WIRE_COLUMNS
from tapeline_spark.kafka.decode import DecodedTrade, decode_trade

START_MS = 1_790_000_000_000
_numbers = itertools.count()


def wire(**changes: object) -> dict[str, object]:
    """Return the fields of one legal trade, some of them changed."""
    number = next(_numbers)
    trade = {
        "venue": "bybit",
        "market_type": "spot",
        "symbol": "BTCUSDT",
        "trade_id": f"t{number}",
        "traded_at": START_MS + number,
        "price": "83766.30",
        "quantity": "0.0010",
        "quantity_unit": "base",
        "contract_size": None,
        "base": "BTC",
        "quote": "USDT",
        "side": "Buy",
        "sequence": number,
        "frame_index": 0,
        "is_block_trade": False,
        "is_rpi": None,
        "received_at": START_MS,
        "produced_at": START_MS,
        "source": "stream",
    }
    trade |= changes
    return {"base_quantity": trade["quantity"], **trade}


def value(**changes: object) -> bytes:
    """Return the bytes of one legal trade, some fields changed."""
    return json.dumps(wire(**changes)).encode()


def produced(**changes: object) -> bytes:
    """Return the same as a producer writes it: columns in their order, no white space."""
    fields = wire(**changes)
    ordered = {column.name: fields[column.name] for column in WIRE_COLUMNS}
    return json.dumps(ordered, separators=(",", ":")).encode()


def with_field(value: bytes, name: str, content: object, place: int = 0) -> bytes:
    """Return a JSON object with one more field, before the field at `place`; a name may then stand twice."""
    fields = list(json.loads(value).items())
    fields.insert(place, (name, content))
    return b"{" + b",".join(json.dumps(key).encode() + b":" + json.dumps(it).encode() for key, it in fields) + b"}"


def record(partition: int = 0, offset: int = 0, topic: str = names.TOPIC_TRADES, **changes: object) -> DecodedTrade:
    """Return one readable record."""
    item = decode_trade(value(**changes), topic, partition, offset)
    assert isinstance(item, DecodedTrade), item
    return item

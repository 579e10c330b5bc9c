"""Factories of trades as Kafka values and decoded records."""

import itertools
import json

from tapeline_spark.kafka.decode import DecodedTrade, decode_trade

START_MS = 1_790_000_000_000
_numbers = itertools.count()


def value(**changes: object) -> bytes:
    """Return the bytes of one legal trade, some fields changed."""
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
    return json.dumps({"base_quantity": trade["quantity"], **trade}).encode()


def record(partition: int = 0, offset: int = 0, **changes: object) -> DecodedTrade:
    """Return one readable record."""
    item = decode_trade(value(**changes), partition, offset)
    assert isinstance(item, DecodedTrade), item
    return item

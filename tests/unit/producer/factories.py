"""Creates trades as the exchange's JSON and as the producer's record."""

import json
from typing import Any

from tapeline.enums import MarketType, QuantityUnit, Side, TradeSource
from tapeline.instrument import Instrument
from tapeline_producer.exchange.bybit.messages import Trade

START_MS = 1_790_000_000_000
BTC = Instrument("bybit", MarketType.SPOT, "BTCUSDT")
ETH = Instrument("bybit", MarketType.SPOT, "ETHUSDT")
BTC_LINEAR = Instrument("bybit", MarketType.LINEAR, "BTCUSDT")


def fill(number: int, **changes: Any) -> dict[str, Any]:
    """Return one entry of a frame's `data`, in Bybit's spot form."""
    entry = {"i": f"t{number}", "T": START_MS + number, "p": "83805.10", "v": "0.001466", "S": "Buy"}
    return {**entry, "seq": 100 + number, "s": "BTCUSDT", "BT": False, "RPI": True, **changes}


def frame(*fills: dict[str, Any], topic: str = "publicTrade.BTCUSDT") -> bytes:
    """Return a frame with these entries."""
    return json.dumps({"topic": topic, "ts": START_MS, "type": "snapshot", "data": list(fills)}).encode()


def trade(number: int, source: TradeSource = TradeSource.STREAM, **changes: Any) -> Trade:
    """Return a trade whose id, time and sequence grow with `number`."""
    fields = {
        "venue": "bybit", "market_type": MarketType.SPOT, "symbol": "BTCUSDT", "trade_id": f"t{number}",
        "traded_at": START_MS + number, "price": "1.0", "quantity": "2", "quantity_unit": QuantityUnit.BASE,
        "contract_size": None, "base_quantity": "2", "base": None, "quote": None, "side": Side.BUY,
        "sequence": 100 + number, "frame_index": 0,
        "is_block_trade": False, "is_rpi": None, "received_at": START_MS, "produced_at": START_MS,
        "source": source,
    }  # fmt: skip
    return Trade(**{**fields, **changes})

"""Stored trades for tests of the trainer."""

import itertools
from typing import Any

import numpy as np
import pyarrow as pa
from tapeline.records.gap import Gap
from tapeline.trade import StoredTrade
from tapeline_trainer.data import trade_table
from tapeline_trainer.data.dataset import Dataset
from tapeline_trainer.data.trade_table import STORED_SCHEMA, TradeTable

START_MS = 1_790_000_000_000
_numbers = itertools.count()


def document(**changes: Any) -> dict[str, Any]:
    """Return one valid stored trade with some fields changed."""
    number = next(_numbers)
    fields = {
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
        "is_buy": True,
        "indexed_at": START_MS,
        **dict.fromkeys(("delay_ms", "feed_ms", "own_ms"), 0),
        "probability": None,
        "prediction": None,
        "prediction_state": "warming_up",
        "model_digest": None,
        "feature_version": "1",
    }
    fields |= changes
    fields["is_buy"] = fields["side"] == "Buy"
    fields.setdefault("base_quantity", fields["quantity"])
    return StoredTrade(**fields).model_dump()


def market(count: int, seed: int, *, start_ms: int = START_MS, **changes: Any) -> list[dict[str, Any]]:
    """A symbol whose price tends to follow the taker's side, so that there is something to learn."""
    draw = np.random.default_rng(seed)
    times = start_ms + np.cumsum(draw.choice([0, 1, 50, 300, 900], count))
    follows = np.repeat(draw.random(count // 8 + 1) < 0.5, 8)[:count]
    step = np.where(draw.random(count) < 0.4, np.where(follows, 1, -1), 0)
    step = np.where(draw.random(count) < 0.05, -step, step)
    ticks = 10_000_000 + np.cumsum(step)
    sides = np.where(follows == (draw.random(count) < 0.85), "Buy", "Sell")
    return [
        document(
            traded_at=int(times[i]),
            sequence=i,
            price=f"{ticks[i] // 100}.{ticks[i] % 100:02d}",
            quantity=f"{draw.integers(1, 900) / 1000:.4f}",
            side=str(sides[i]),
            **changes,
        )
        for i in range(count)
    ]


def gap(before: dict[str, Any], after: dict[str, Any], **changes: Any) -> Gap:
    """A gap between two trades of one symbol."""
    fields = {
        **{name: after[name] for name in ("venue", "market_type", "symbol")},
        "reason": "reconnect",
        "detected_at": START_MS,
        "from_traded_at": before["traded_at"],
        "from_trade_id": before["trade_id"],
        "to_traded_at": after["traded_at"],
        "to_trade_id": after["trade_id"],
        "backfilled": 0,
    }
    return Gap(**fields | changes)


def table_of(documents: list[dict[str, Any]]) -> pa.Table:
    return trade_table.from_stored(pa.Table.from_pylist(documents, schema=STORED_SCHEMA))


def trade_table_of(documents: list[dict[str, Any]], *gaps: Gap, maximum_trades: int = 10**9) -> TradeTable:
    return trade_table.assemble(table_of(documents), gaps, maximum_trades)


def noise(count: int, seed: int, *, symbols: int = 1) -> Dataset:
    """Rows whose label has nothing to do with their features."""
    draw = np.random.default_rng(seed)
    times = START_MS + np.arange(count, dtype=np.int64) * 100
    return Dataset(
        symbols=tuple(f"bybit:spot:S{number}" for number in range(symbols)),
        symbol=np.arange(count, dtype=np.int64) % symbols,
        traded_at_ms=times,
        known_at_ms=times + 50,
        x=draw.normal(size=(count, 19)).astype(np.float32),
        y=draw.integers(0, 2, count),
        next_trade=draw.integers(-1, 2, count),
        is_buy=draw.random(count) < 0.5,
        counts={"rows": count},
        zero_tick_share=0.5,
        data_digest="0" * 64,
    )

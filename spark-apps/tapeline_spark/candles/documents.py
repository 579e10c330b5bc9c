"""Builds the Elasticsearch documents of candles. Pure.

A candle is written again whenever it changes, with a version that measures how much of the log it covers.
Elasticsearch keeps the higher version: neither a replay inside a minute nor a
truncated log can overwrite a more complete candle.
"""

from typing import Any, Final

import orjson
from tapeline import names
from tapeline.instrument import Instrument
from tapeline.records import candle

from tapeline_spark.candles.listener import Candle
from tapeline_spark.elastic.documents import Operation

_HISTORY_LIMIT: Final = 4_096
"""Exceeds every Candle.history: the version orders by trades first, then by history."""


def candle_version(item: Candle) -> int:
    """Return how much of the log a candle covers; for one minute it never decreases while the log is read."""
    return (item.trades + item.missed_trades) * _HISTORY_LIMIT + item.history


def candle_operation(instrument: Instrument, item: Candle, now_ms: int) -> Operation:
    """Return the `index` operation of a candle."""
    document: dict[str, Any] = {
        "@timestamp": item.minute_ms,
        "venue": instrument.venue,
        "market_type": instrument.market_type,
        "symbol": instrument.symbol,
        "interval": candle.INTERVAL,
        **{name: getattr(item, name) for name in candle.PRICES},
        "volume": item.volume,
        "notional": item.notional,
        "buy_volume": item.buy_volume,
        "buy_share": item.buy_volume / item.volume if item.volume else None,
        "trades": item.trades,
        "late_trades": item.late_trades,
        "missed_trades": item.missed_trades,
        "is_quiet": item.is_quiet,
        "is_closed": item.is_closed,
        **item.indicators,
        **item.windows,
        "updated_at": now_ms,
    }
    return Operation(
        *_index_and_id(instrument, item.minute_ms), orjson.dumps(document), kind="index", version=candle_version(item)
    )


def missed_operation(instrument: Instrument, minute_ms: int, missed: int, now_ms: int) -> Operation:
    """Return the `update` of `missed_trades` in a candle; creates no candle."""
    changed = {"doc": {"missed_trades": missed, "updated_at": now_ms}}
    return Operation(*_index_and_id(instrument, minute_ms), orjson.dumps(changed), kind="update")


def _index_and_id(instrument: Instrument, minute_ms: int) -> tuple[str, str]:
    index = names.monthly_index(names.INDEX_CANDLES_PREFIX, minute_ms)
    return index, candle.identity(instrument, minute_ms)

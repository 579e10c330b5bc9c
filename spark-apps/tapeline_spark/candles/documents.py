"""Candles as Elasticsearch takes them. Pure.

A candle is written again whenever it changes, under a version that says how full it is. Elasticsearch keeps the fuller
one: neither a replay that is still in the middle of a minute nor a log whose beginning is gone can write over it.
"""

from typing import Any, Final

import orjson
from tapeline import names
from tapeline.instrument import instrument_of
from tapeline.records import candle

from tapeline_spark.candles.listener import Candle, Key
from tapeline_spark.elastic.documents import Operation

_HISTORIES: Final = 4_096
"""More than there are values of Candle.history: trades weigh first, then how far back the candle could look."""


def version_of(item: Candle) -> int:
    """Return how full a candle is; of one minute it never sinks while the log is read."""
    return (item.trades + item.missed_trades) * _HISTORIES + item.history


def candle_operation(key: Key, item: Candle, now_ms: int) -> Operation:
    """Return the writing of a candle."""
    market_type, symbol = key
    document: dict[str, Any] = {
        "@timestamp": item.minute_ms,
        "venue": names.VENUE,
        "market_type": market_type,
        "symbol": symbol,
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
    return Operation(*_place(key, item.minute_ms), orjson.dumps(document), kind="index", version=version_of(item))


def missed_operation(key: Key, minute_ms: int, missed: int, now_ms: int) -> Operation:
    """Return the note in a candle of what came too late for it; where there is no candle, there is none to make."""
    changed = {"doc": {"missed_trades": missed, "updated_at": now_ms}}
    return Operation(*_place(key, minute_ms), orjson.dumps(changed), kind="update")


def _place(key: Key, minute_ms: int) -> tuple[str, str]:
    index = names.monthly_index(names.INDEX_CANDLES_PREFIX, minute_ms)
    return index, candle.identity(instrument_of(names.VENUE, *key), minute_ms)

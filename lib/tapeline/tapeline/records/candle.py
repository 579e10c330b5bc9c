"""The candle of one symbol and minute as it stands in Elasticsearch: one document, written again as it changes.

`tapeline_spark` makes it, the board and the dashboards show it. Nothing here computes.
To add a field: add it to one of the tables; the strict mapping follows.
"""

from typing import Any, Final

from tapeline.instrument import Instrument
from tapeline.records.mapping_types import DATE, DOUBLE, KEYWORD, LONG

MINUTE_MS: Final = 60_000
INTERVAL: Final = "1m"

WINDOWS_MINUTES: Final = {"1m": 1, "5m": 5, "15m": 15, "1h": 60}
"""Rolling windows that end with the candle's own minute, and their lengths."""

PRICES: Final = ("open", "high", "low", "close", "vwap")
"""Quote per base. A quiet minute carries the last close in all five."""
INDICATORS: Final = (
    *("sma_20", "ema_12", "ema_26", "rsi_14"),
    *("macd", "macd_signal", "macd_histogram"),
    *("bollinger_upper", "bollinger_middle", "bollinger_lower"),
)
"""RSI(14), MACD(12, 26, 9), Bollinger(20, 2), of closes, quiet minutes included; null while they warm up."""
WINDOWED: Final = ("return_bp", "volatility_bp", "volume", "trades_per_s", "imbalance")
"""Per window, as `<name>_<window>`: close to close; standard deviation of the one-minute log returns, always null in
`1m`, which has only one; base; trades a second; (buy - sell) / (buy + sell) of the volumes, null without any. In basis
points where the name says so."""


def windowed_fields() -> tuple[str, ...]:
    """Return the name of every windowed field, such as `return_bp_5m`."""
    return tuple(f"{name}_{window}" for window in WINDOWS_MINUTES for name in WINDOWED)


MAPPING: Final[dict[str, Any]] = {
    "dynamic": "strict",
    "properties": {
        # Start of the minute.
        "@timestamp": DATE,
        **dict.fromkeys(("venue", "market_type", "symbol", "interval"), KEYWORD),
        **dict.fromkeys(PRICES, DOUBLE),
        # Base, quote, base bought by takers, and the latter's share, null without trades.
        **dict.fromkeys(("volume", "notional", "buy_volume", "buy_share"), DOUBLE),
        # Distinct trades; those of them that came behind a later one; those too late to be in the candle.
        **dict.fromkeys(("trades", "late_trades", "missed_trades"), LONG),
        # No trade in this minute: carried from the one before.
        "is_quiet": {"type": "boolean"},
        # A later minute has begun; late trades may still change it.
        "is_closed": {"type": "boolean"},
        **dict.fromkeys(INDICATORS, DOUBLE),
        **dict.fromkeys(windowed_fields(), DOUBLE),
        "updated_at": DATE,
    },
}


def identity(instrument: Instrument, minute_ms: int) -> str:
    """Return the document id: one per instrument and minute, so that a replay writes over it.

    Args:
        instrument: whose candle.
        minute_ms: start of the minute, ms UTC.

    Raises:
        ValueError: the stamp is not the start of a minute.
    """
    if minute_ms % MINUTE_MS:
        raise ValueError(f"minute of a candle was {minute_ms}; it must be a multiple of {MINUTE_MS} ms")
    return f"{instrument.venue}|{instrument.market_type}|{instrument.symbol}|{minute_ms}"

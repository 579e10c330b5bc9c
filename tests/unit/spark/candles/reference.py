"""Reference implementation of candles: pandas over all trades, TA-Lib over the whole series of closes."""

from typing import Any

import numpy as np
import pandas as pd
import talib
from tapeline_spark.candles.listener import Candle

MINUTE = 60_000
WINDOWS = {"1m": 1, "5m": 5, "15m": 15, "1h": 60}
FIELDS = (
    *("open", "high", "low", "close", "vwap", "volume", "notional", "buy_volume", "trades"),
    *("sma_20", "ema_12", "ema_26", "rsi_14", "macd", "macd_signal", "macd_histogram"),
    *("bollinger_upper", "bollinger_middle", "bollinger_lower"),
    *(
        f"{name}_{window}"
        for window in WINDOWS
        for name in ("return_bp", "volatility_bp", "volume", "trades_per_s", "imbalance")
    ),
)


def candles(trades: pd.DataFrame, last_minute: int) -> pd.DataFrame:
    """Return one row a minute of one symbol, up to and with `last_minute`.

    Args:
        trades: distinct ones of a symbol in the exchange's order: traded_at (ms), price, quantity, is_buy.
        last_minute: start of it, ms UTC.
    """
    trades = trades.assign(
        minute=trades.traded_at // MINUTE * MINUTE,
        worth=trades.price * trades.quantity,
        bought=trades.quantity.where(trades.is_buy, 0.0),
    )
    grouped = trades.groupby("minute")
    table = grouped.price.agg(open="first", high="max", low="min", close="last")
    table["volume"], table["notional"] = grouped.quantity.sum(), grouped.worth.sum()
    table["buy_volume"], table["trades"] = grouped.bought.sum(), grouped.size()
    table["vwap"] = table.notional / table.volume
    table = table.reindex(range(int(table.index[0]), last_minute + MINUTE, MINUTE))
    table["close"] = table.close.ffill()
    for price in ("open", "high", "low", "vwap"):
        table[price] = table[price].fillna(table.close)
    return table.fillna(0.0).assign(**_indicators(table.close.to_numpy(np.float64))).pipe(_windows)


def _indicators(closes: Any) -> dict[str, Any]:
    upper, middle, lower = talib.BBANDS(closes, 20, 2, 2)
    macd, signal, histogram = talib.MACD(closes, 12, 26, 9)
    return {
        "sma_20": talib.SMA(closes, 20),
        "ema_12": talib.EMA(closes, 12),
        "ema_26": talib.EMA(closes, 26),
        "rsi_14": talib.RSI(closes, 14),
        "macd": macd,
        "macd_signal": signal,
        "macd_histogram": histogram,
        "bollinger_upper": upper,
        "bollinger_middle": middle,
        "bollinger_lower": lower,
    }


def _windows(table: pd.DataFrame) -> pd.DataFrame:
    steps = np.log(table.close).diff()
    for window, minutes in WINDOWS.items():
        volume, bought = table.volume.rolling(minutes).sum(), table.buy_volume.rolling(minutes).sum()
        table[f"return_bp_{window}"] = table.close.pct_change(minutes) * 1e4
        table[f"volatility_bp_{window}"] = steps.rolling(minutes).std() * 1e4
        table[f"volume_{window}"] = volume
        table[f"trades_per_s_{window}"] = table.trades.rolling(minutes).sum() / (60 * minutes)
        table[f"imbalance_{window}"] = (2 * bought - volume) / volume.where(volume > 0)
    return table


def differences(item: Candle, row: pd.Series, tolerance: float = 1e-9) -> dict[str, tuple[float | None, float]]:
    """Return the fields that differ by more than `tolerance`, relative to the value or its inputs."""
    found = {}
    # What is a difference of prices or volumes is as exact as they are; RSI goes from 0 to 100.
    scale = {
        "rsi_": 1.0,
        "macd": item.close,
        "retu": 1e4,
        "vola": 1e4,
        "imba": 1.0,
        "volu": float(row.volume_1h or 0.0),
    }
    for field in FIELDS:
        mine = {**item.indicators, **item.windows}.get(field, getattr(item, field, None))
        wanted = float(row[field])
        if mine is None or np.isnan(wanted):
            if not (mine is None and np.isnan(wanted)):
                found[field] = (mine, wanted)
        elif abs(mine - wanted) > tolerance * max(abs(wanted), scale.get(field[:4], 0.0)):
            found[field] = (mine, wanted)
    return found

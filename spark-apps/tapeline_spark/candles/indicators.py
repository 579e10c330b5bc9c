"""Computes the indicators of one candle with TA-Lib from the closes up to it. Pure.

Each indicator is computed from closes, never updated from the previous candle, so late trades, restarts and batch
boundaries cannot change it. A window of WINDOW_MINUTES is enough: older closes have a weight below 1e-18 in the slowest
indicator.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import talib
from tapeline.records import candle

WINDOW_MINUTES: Final = 600
"""Closes in an exponential mean."""
KEPT_MINUTES: Final = 2 * WINDOW_MINUTES
"""Closes that are kept; after more than WINDOW_MINUTES without a price change the RSI is 0."""
_PERIOD: Final = 20

Floats = npt.NDArray[np.float64]


def compute(closes: Floats) -> dict[str, float | None]:
    """Return the indicators of the last close.

    Args:
        closes: (n,) float64, one per minute, oldest first, quiet ones filled in; only the last KEPT_MINUTES are used.

    Returns:
        Values by the names of tapeline.records.candle.INDICATORS; None with too few closes.
    """
    known = closes[-KEPT_MINUTES:]
    window = known[-WINDOW_MINUTES:]
    macd, signal, histogram = talib.MACD(window, 12, 26, 9)
    middle, spread = _band(window[-_PERIOD:])
    values = (
        middle,
        talib.EMA(window, 12)[-1],
        talib.EMA(window, 26)[-1],
        talib.RSI(_until_last_change(known), 14)[-1],
        macd[-1],
        signal[-1],
        histogram[-1],
        middle + spread,
        middle,
        middle - spread,
    )
    return {name: _number(value) for name, value in zip(candle.INDICATORS, values, strict=True)}


def _band(closes: Floats) -> tuple[float, float]:
    """Return mean and two standard deviations of the last _PERIOD closes."""
    # TA-Lib subtracts squares: a constant price of 80,000 gets a band some 0.001 wide. Relative to the last close
    # no digits are lost.
    offset = closes[-1]
    upper, middle, _ = talib.BBANDS(closes - offset, _PERIOD, 2.0, 2.0)
    return float(middle[-1] + offset), float(upper[-1] - middle[-1])


def _until_last_change(known: Floats) -> Floats:
    """Return the last WINDOW_MINUTES closes up to the last price change.

    An unchanged close does not change the RSI: both of its means shrink alike. But a window that begins inside a long
    quiet period lacks the moves that the means consist of.
    """
    moves = np.flatnonzero(np.diff(known[-WINDOW_MINUTES - 1 :]))
    unchanged = len(known[-WINDOW_MINUTES - 1 :]) - 2 - int(moves[-1]) if len(moves) else 0
    # During warm-up TA-Lib counts minutes, with or without a price change.
    stop = max(len(known) - unchanged, min(len(known), 15))
    return known[:stop][-WINDOW_MINUTES:]


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)

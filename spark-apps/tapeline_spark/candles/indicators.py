"""Indicators of one candle: what TA-Lib says of the closes that lead to it. Pure.

Each is made anew from the closes themselves, never carried on from the candle before: so a late trade, a restart or
another cut of the log cannot leave a trace. A window of TAIL_MINUTES is enough: what came before has a weight below
1e-18 in the slowest of them.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import talib
from tapeline.records import candle

TAIL_MINUTES: Final = 600
"""Closes that an exponential mean is made of."""
KEPT_MINUTES: Final = 2 * TAIL_MINUTES
"""Closes that are looked at; what no price has moved in for longer than TAIL_MINUTES has no RSI but 0."""
_PERIOD: Final = 20

Floats = npt.NDArray[np.float64]


def compute(closes: Floats) -> dict[str, float | None]:
    """Return the indicators of the last close.

    Args:
        closes: (n,) float64, one a minute, oldest first, quiet minutes carried; of more than KEPT_MINUTES the last.

    Returns:
        By the names of tapeline.candle.INDICATORS; None while there are too few closes.
    """
    known = closes[-KEPT_MINUTES:]
    tail = known[-TAIL_MINUTES:]
    macd, signal, histogram = talib.MACD(tail, 12, 26, 9)
    middle, spread = _band(tail[-_PERIOD:])
    values = (
        middle,
        talib.EMA(tail, 12)[-1],
        talib.EMA(tail, 26)[-1],
        talib.RSI(_until_it_moved(known), 14)[-1],
        macd[-1],
        signal[-1],
        histogram[-1],
        middle + spread,
        middle,
        middle - spread,
    )
    return {name: _number(value) for name, value in zip(candle.INDICATORS, values, strict=True)}


def _band(closes: Floats) -> tuple[float, float]:
    """Return mean and two deviations of the last _PERIOD closes."""
    # TA-Lib subtracts squares: of a price of 80,000 that stands still it makes a band some 0.001 wide. Counted from
    # the last close there is nothing to lose.
    offset = closes[-1]
    upper, middle, _ = talib.BBANDS(closes - offset, _PERIOD, 2.0, 2.0)
    return float(middle[-1] + offset), float(upper[-1] - middle[-1])


def _until_it_moved(known: Floats) -> Floats:
    """Return the closes up to the last one that differs from the one before it, as many as the tail holds.

    A close that stays changes nothing in the RSI: both its means shrink alike. But a tail that begins within a long
    stillness has not seen the moves that they are made of.
    """
    moves = np.flatnonzero(np.diff(known[-TAIL_MINUTES - 1 :]))
    still = len(known[-TAIL_MINUTES - 1 :]) - 2 - int(moves[-1]) if len(moves) else 0
    # While it warms up, TA-Lib counts minutes, whether the price moved in them or not.
    stop = max(len(known) - still, min(len(known), 15))
    return known[:stop][-TAIL_MINUTES:]


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)

"""Computes rolling windows that end with a candle's own minute. Pure; sums are exact, whatever the array's start."""

import math
from collections.abc import Sequence
from itertools import pairwise

from tapeline.records import candle

_BP = 10_000.0


def compute(
    closes: Sequence[float], volumes: Sequence[float], buys: Sequence[float], trades: Sequence[int]
) -> dict[str, float | None]:
    """Return the window values of the last minute.

    Args:
        closes: one per minute, oldest first, quiet minutes filled in; one more than the longest window is enough.
        volumes: base, as long as `closes`, 0 in quiet minutes.
        buys: base, volume bought by takers.
        trades: number of distinct trades.

    Returns:
        Values by the names of tapeline.records.candle.windowed_fields(); None while the history is too short.
    """
    longest = max(candle.WINDOWS_MINUTES.values())
    known = closes[-longest - 1 :]
    steps = [math.log(after / before) for before, after in pairwise(known)]
    found: dict[str, float | None] = {}
    for window, minutes in candle.WINDOWS_MINUTES.items():
        has_start, is_full = len(closes) > minutes, len(volumes) >= minutes
        volume = math.fsum(volumes[-minutes:])
        bought = math.fsum(buys[-minutes:])
        values = (
            (closes[-1] / closes[-minutes - 1] - 1.0) * _BP if has_start else None,
            _deviation(steps[-minutes:]) if has_start and minutes > 1 else None,
            volume if is_full else None,
            sum(trades[-minutes:]) / (minutes * 60.0) if is_full else None,
            (2.0 * bought - volume) / volume if is_full and volume else None,
        )
        found |= {f"{name}_{window}": value for name, value in zip(candle.WINDOWED, values, strict=True)}
    return found


def _deviation(steps: Sequence[float]) -> float:
    """Return the sample standard deviation of log returns, in basis points."""
    mean = math.fsum(steps) / len(steps)
    return math.sqrt(math.fsum((step - mean) ** 2 for step in steps) / (len(steps) - 1)) * _BP

"""Computes the labels of trades from the trades that follow.

Per symbol, in total order, never across a gap. A label that is not known within its horizon is absent,
not zero.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from tapeline.model.features import Floats, Ints

VERSION: Final = "next-different-price-1"
HORIZON_MS: Final = 30_000
ABSENT: Final = -1


@dataclass(frozen=True, slots=True)
class Labels:
    """One label a row.

    Attributes:
        value: (n,) int64, 1 higher, 0 not higher, ABSENT where unknown.
        known_at_ms: (n,) int64, time of the trade that decided it, ms UTC; the row's own time where ABSENT.
    """

    value: Ints
    known_at_ms: Ints


def next_different_price(traded_at_ms: Ints, price: Floats, segment: Ints) -> Labels:
    """Return whether the next different price of the same segment is higher: the main target.

    Args:
        traded_at_ms: (n,) int64, ms UTC, ordered within a segment.
        price: (n,) float64.
        segment: (n,) int64, equal for rows of one symbol with no gap between them; segments side by side.
    """
    later = next_change(price, segment)
    known = later >= 0
    decisive = np.where(known, later, np.arange(len(price)))
    in_time = known & (traded_at_ms[decisive] - traded_at_ms <= HORIZON_MS)
    value = np.where(in_time, (price[decisive] > price).astype(np.int64), ABSENT)
    return Labels(value, np.where(in_time, traded_at_ms[decisive], traded_at_ms))


def next_trade_higher(traded_at_ms: Ints, price: Floats, segment: Ints) -> Labels:
    """Return whether the very next trade of the same segment is strictly higher: the target of the first data set.

    Kept for comparison: 50 to 68 % of next trades repeat the price, so its accuracy says little.
    """
    count = len(price)
    decisive = np.minimum(np.arange(count) + 1, max(count - 1, 0))
    known = np.zeros(count, dtype=bool)
    known[:-1] = segment[1:] == segment[:-1]
    value = np.where(known, (price[decisive] > price).astype(np.int64), ABSENT)
    return Labels(value, np.where(known, traded_at_ms[decisive], traded_at_ms))


def next_change(price: Floats, segment: Ints) -> Ints:
    """Return (n,) int64, the row of the next different price of the same segment, or -1 where none follows.

    Args:
        price: (n,) float64.
        segment: (n,) int64, equal for rows of one symbol with no gap between them; segments side by side.
    """
    count = len(price)
    if count == 0:
        return np.empty(0, dtype=np.int64)
    number = np.arange(count)
    changes = np.zeros(count, dtype=bool)
    changes[1:] = (price[1:] != price[:-1]) | (segment[1:] != segment[:-1])
    first_change = np.where(changes, number, count)
    # Nearest change at or after each row, then the one strictly after it.
    at_or_after = np.minimum.accumulate(first_change[::-1])[::-1]
    after = np.append(at_or_after[1:], count)
    inside = (after < count) & (segment[np.minimum(after, count - 1)] == segment)
    return np.where(inside, after, -1)

"""Computes the features of a trade from its symbol's recent trades, in relative units.

One pure function, `compute`, run by the stream, the trainer and the tests alike. Every feature of
row i reads rows j <= i of the same symbol, at most LOOKBACK_TRADES of them and none older than
LOOKBACK_MS, so a lookback of that length is all the state a stream must keep. Each window is summed
separately, never by differences of running totals, so a result does not depend on where the
array starts and is the same to the last bit in stream and trainer.

Returns are in basis points: scikit-learn cannot split values closer than 1e-7.
To add a feature: append a Feature to FEATURES and raise VERSION.
Sources: Lillo & Farmer 2004 (signs), Cont, Kukanov & Stoikov 2014 (imbalance).
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

VERSION: Final = "1"
LOOKBACK_TRADES: Final = 200
LOOKBACK_MS: Final = 600_000
MINIMUM_TRADES: Final = 20
"""Rows with fewer trades in reach, themselves included, are `warming_up` and are not scored."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
_BP: Final = 1e4


@dataclass(frozen=True, slots=True)
class TradeColumns:
    """Ordered trades of one or several symbols, each symbol's trades side by side.

    Attributes:
        traded_at_ms: (n,) int64, ms UTC, non-decreasing within a symbol.
        price: (n,) float64, quote per base, > 0.
        quantity: (n,) float64, base, > 0.
        is_buy: (n,) bool, True where the taker bought.
        group_start: (n,) int64, row number of the first trade of the row's symbol.
    """

    traded_at_ms: Ints
    price: Floats
    quantity: Floats
    is_buy: Bools
    group_start: Ints

    def __post_init__(self) -> None:
        lengths = {name: len(getattr(self, name)) for name in self.__slots__}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"column lengths were {lengths}; they must be equal")


class _Window:
    """Shared sub-expressions of the features at the requested rows."""

    def __init__(self, trades: TradeColumns, rows: Ints) -> None:
        self.trades, self.rows = trades, rows
        self.stop = rows + 1
        oldest = trades.traded_at_ms[rows] - LOOKBACK_MS
        self.start = np.maximum(self._since(oldest), rows + 1 - LOOKBACK_TRADES)

    def _since(self, time_ms: Ints) -> Ints:
        """First row of each requested row's symbol that is not older than `time_ms`."""
        # Within a symbol times ascend: bisect all rows at once, between its start and the row.
        low, high = self.trades.group_start[self.rows].copy(), self.rows.copy()
        while np.any(low < high):
            middle = (low + high) // 2
            older = self.trades.traded_at_ms[middle] < time_ms
            active = low < high
            low = np.where(active & older, middle + 1, low)
            high = np.where(active & ~older, middle, high)
        return low

    def last(self, count: int) -> Ints:
        """Start of the window of the last `count` trades."""
        return np.maximum(self.start, self.stop - count)

    def within(self, milliseconds: int) -> Ints:
        """Start of the window of the last `milliseconds`."""
        return np.maximum(self.start, self._since(self.trades.traded_at_ms[self.rows] - milliseconds))

    def total(self, values: npt.NDArray[np.float64], start: Ints) -> Floats:
        """Sum of values[start:row + 1], each window summed separately; 0.0 where it is empty."""
        bounds = np.empty(2 * len(self.rows), dtype=np.int64)
        bounds[0::2], bounds[1::2] = np.minimum(start, self.stop), self.stop
        padded = np.append(values, 0.0)
        sums = np.add.reduceat(padded, bounds)[0::2] if len(bounds) else np.empty(0)
        return np.where(start < self.stop, sums, 0.0)

    @cached_property
    def sign(self) -> Floats:
        return np.where(self.trades.is_buy, 1.0, -1.0)

    @cached_property
    def notional(self) -> Floats:
        return self.trades.price * self.trades.quantity

    @cached_property
    def tick_return_bp(self) -> Floats:
        """Return from the previous row; meaningless on a symbol's first row, which no window reads."""
        price = self.trades.price
        previous = np.concatenate([price[:1], price[:-1]])
        return np.asarray((price / previous - 1.0) * _BP)

    @cached_property
    def last_move(self) -> Ints:
        """Row of the last price change in reach, or -1."""
        number = np.arange(len(self.trades.price))
        previous = np.concatenate([self.trades.price[:1], self.trades.price[:-1]])
        moved = (self.trades.price != previous) & (number > self.trades.group_start)
        last = np.maximum.accumulate(np.where(moved, number, -1))[self.rows]
        return np.where(last > self.start, last, -1)

    def _last_of(self, wanted: Bools) -> Ints:
        number = np.arange(len(wanted))
        last = np.maximum.accumulate(np.where(wanted, number, -1))[self.rows]
        return np.where(last >= self.start, last, -1)

    @cached_property
    def quotes(self) -> tuple[Floats, Floats]:
        """Price of the last buy and of the last sell in reach; the row's own price where there is none."""
        own = self.trades.price[self.rows]
        buy, sell = self._last_of(self.trades.is_buy), self._last_of(~self.trades.is_buy)
        price = self.trades.price
        return np.where(buy >= 0, price[buy], own), np.where(sell >= 0, price[sell], own)


def _imbalance(w: _Window, start: Ints) -> Floats:
    return np.asarray(w.total(w.sign * w.notional, start) / w.total(w.notional, start))


def _return_bp(w: _Window, trades_back: int) -> Floats:
    earlier = np.maximum(w.start, w.rows - trades_back)
    return (w.trades.price[w.rows] / w.trades.price[earlier] - 1.0) * _BP


def _volatility_bp(w: _Window) -> Floats:
    # A return needs the row before it, which must be in reach too.
    start = np.maximum(w.start + 1, w.stop - 50)
    count = np.maximum(w.stop - start, 1)
    return np.asarray(np.sqrt(w.total(w.tick_return_bp**2, start) / count))


def _vwap_distance_bp(w: _Window, milliseconds: int) -> Floats:
    start = w.within(milliseconds)
    vwap = w.total(w.notional, start) / w.total(w.trades.quantity, start)
    return (w.trades.price[w.rows] / vwap - 1.0) * _BP


def _notional_ratio(w: _Window) -> Floats:
    start = w.last(50)
    mean = w.total(w.notional, start) / (w.stop - start)
    return np.asarray(np.log(w.notional[w.rows] / mean))


def _pause_ms(w: _Window) -> Floats:
    earlier = np.maximum(w.start, w.rows - 1)
    return (w.trades.traded_at_ms[w.rows] - w.trades.traded_at_ms[earlier]).astype(np.float64)


def _move_direction(w: _Window) -> Floats:
    moved = w.last_move >= 0
    return np.where(moved, np.sign(w.tick_return_bp[w.last_move]), 0.0)


def _trades_since_move(w: _Window) -> Floats:
    since = np.where(w.last_move >= 0, w.rows - w.last_move, w.stop - w.start)
    return since.astype(np.float64)


def _quote_distance_bp(w: _Window) -> Floats:
    buy, sell = w.quotes
    return (w.trades.price[w.rows] / ((buy + sell) / 2.0) - 1.0) * _BP


def _spread_bp(w: _Window) -> Floats:
    buy, sell = w.quotes
    return (buy - sell) / w.trades.price[w.rows] * _BP


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of the matrix: its name with its unit, and how it is computed."""

    name: str
    compute: Callable[[_Window], Floats]


FEATURES: Final = (
    Feature("side_sign", lambda w: w.sign[w.rows]),
    Feature("side_mean_5", lambda w: w.total(w.sign, w.last(5)) / (w.stop - w.last(5))),
    Feature("side_mean_20", lambda w: w.total(w.sign, w.last(20)) / (w.stop - w.last(20))),
    Feature("side_mean_100", lambda w: w.total(w.sign, w.last(100)) / (w.stop - w.last(100))),
    Feature("notional_imbalance_20", lambda w: _imbalance(w, w.last(20))),
    Feature("notional_imbalance_5s", lambda w: _imbalance(w, w.within(5_000))),
    Feature("return_5_bp", lambda w: _return_bp(w, 5)),
    Feature("return_20_bp", lambda w: _return_bp(w, 20)),
    Feature("return_100_bp", lambda w: _return_bp(w, 100)),
    Feature("volatility_50_bp", _volatility_bp),
    Feature("vwap_distance_5s_bp", lambda w: _vwap_distance_bp(w, 5_000)),
    Feature("log_notional_ratio_50", _notional_ratio),
    Feature("trades_1s", lambda w: (w.stop - w.within(1_000)).astype(np.float64)),
    Feature("trades_5s", lambda w: (w.stop - w.within(5_000)).astype(np.float64)),
    Feature("pause_ms", _pause_ms),
    Feature("move_direction", _move_direction),
    Feature("trades_since_move", _trades_since_move),
    Feature("quote_distance_bp", _quote_distance_bp),
    Feature("spread_bp", _spread_bp),
)
FEATURE_NAMES: Final = tuple(feature.name for feature in FEATURES)


def schema_hash() -> str:
    """Return the hash of the feature schema: sha256 of version, look-back and names, in hex."""
    text = "\n".join([VERSION, str(LOOKBACK_TRADES), str(LOOKBACK_MS), str(MINIMUM_TRADES), *FEATURE_NAMES])
    return hashlib.sha256(text.encode()).hexdigest()


def compute(trades: TradeColumns, rows: Ints) -> tuple[Floats, Bools]:
    """Return the features of some rows, and which rows have enough trades before them.

    Args:
        trades: ordered trades, including the lookback of the first requested rows.
        rows: (m,) int64, ascending row numbers to compute.

    Returns:
        (m, len(FEATURE_NAMES)) float64, and (m,) bool, True where at least MINIMUM_TRADES are in reach.
    """
    rows = np.asarray(rows, dtype=np.int64)
    window = _Window(trades, rows)
    matrix = np.empty((len(rows), len(FEATURES)), dtype=np.float64)
    for column, feature in enumerate(FEATURES):
        matrix[:, column] = feature.compute(window)
    return matrix, (window.stop - window.start) >= MINIMUM_TRADES

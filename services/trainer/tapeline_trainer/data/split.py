"""Splits rows by time into training, threshold tuning and test.

Pure. Symbols whose time spans overlap form an epoch. An epoch is split at one instant for all of its symbols, so no
row is tested on what another symbol's future taught. Rows whose label became known only at or after the instant are
purged from the earlier side; rows just after it (embargo) are used by neither side.
Source: Lopez de Prado, Advances in Financial Machine Learning, chapter 7.
"""

from dataclasses import dataclass

import numpy as np
from tapeline.model.features import Bools, Ints


@dataclass(frozen=True, slots=True)
class TimeSplit:
    """Rows before and after each epoch's split instant.

    Attributes:
        before: (n,) bool, label known before the instant.
        after: (n,) bool, traded at least the embargo after it.
    """

    before: Bools
    after: Bools


@dataclass(frozen=True, slots=True)
class Split:
    """Roles of the rows.

    Attributes:
        epoch: (n,) int64.
        train: (n,) bool, all training rows; `fit` and `tune` are parts of it.
        fit: (n,) bool, fit the forest whose threshold is then set on `tune`.
        tune: (n,) bool, the latest of `train`.
        test: (n,) bool, evaluate the forest.
    """

    epoch: Ints
    train: Bools
    fit: Bools
    tune: Bools
    test: Bools


def epochs(symbol: Ints, traded_at_ms: Ints) -> Ints:
    """Return (n,) int64, numbered by time: rows of symbols whose time spans overlap share a number.

    Args:
        symbol: (n,) int64.
        traded_at_ms: (n,) int64, ms UTC.
    """
    present = np.unique(symbol)
    spans = []
    for number in present:
        times = traded_at_ms[symbol == number]
        spans.append((int(times.min()), int(times.max()), int(number)))
    epoch_of = np.zeros(int(present.max(initial=-1)) + 1, dtype=np.int64)
    end, epoch = -1, -1
    for first, last, number in sorted(spans):
        if first > end:
            epoch += 1
        epoch_of[number] = epoch
        end = max(end, last)
    return epoch_of[symbol]


def split_at(epoch: Ints, traded_at_ms: Ints, known_at_ms: Ints, later_share: float, embargo_ms: int) -> TimeSplit:
    """Split each epoch at one instant, chosen so that `later_share` of its rows lie after it.

    Args:
        epoch: (n,) int64.
        traded_at_ms: (n,) int64, ms UTC.
        known_at_ms: (n,) int64, when each label was known, ms UTC.
        later_share: in (0, 1).
        embargo_ms: rows traded less than this after the instant are on neither side.
    """
    instant = np.empty(len(epoch), dtype=np.int64)
    for number in np.unique(epoch):
        inside = epoch == number
        times = np.sort(traded_at_ms[inside])
        instant[inside] = times[int(len(times) * (1.0 - later_share))]
    return TimeSplit(
        before=(traded_at_ms < instant) & (known_at_ms < instant), after=traded_at_ms >= instant + embargo_ms
    )


def split_rows(
    symbol: Ints,
    traded_at_ms: Ints,
    known_at_ms: Ints,
    *,
    test_share: float,
    tuning_share: float,
    embargo_ms: int,
) -> Split:
    """Return the role of every row.

    Args:
        symbol: (n,) int64.
        traded_at_ms: (n,) int64, ms UTC.
        known_at_ms: (n,) int64, ms UTC.
        test_share: latest share of each epoch's rows.
        tuning_share: latest share of each epoch's training rows.
        embargo_ms: see `split_at`.
    """
    epoch = epochs(symbol, traded_at_ms)
    outer = split_at(epoch, traded_at_ms, known_at_ms, test_share, embargo_ms)
    inside = np.flatnonzero(outer.before)
    inner = split_at(epoch[inside], traded_at_ms[inside], known_at_ms[inside], tuning_share, embargo_ms)
    fit, tune = (np.zeros(len(epoch), dtype=bool) for _ in range(2))
    fit[inside[inner.before]] = True
    tune[inside[inner.after]] = True
    return Split(epoch, outer.before, fit, tune, outer.after)

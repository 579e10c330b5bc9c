"""Scores the predictions of a minute: sums over its documents and the next price move.

Pure: rows in, documents out. A prediction is right about the next different price of its symbol
(tapeline.model.labels), never across a gap (tapeline.records.gap, by time). Late trades are part of the market and
count as prices. The last predictions of a minute are pending until a later minute (`MinuteBoundary`): their sums are
kept for both outcomes, so that no row is read twice.
To add a sum: add it to _SUMS and to tapeline.records.score.MAPPING.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from tapeline.instrument import Instrument
from tapeline.model import labels
from tapeline.model.features import Bools, Floats, Ints
from tapeline.records import score
from tapeline.records.gap import GapTimes, separated, separates

_SUMS: Final = ("predictions", "hits", "ups", "rule_hits", "brier_sum", "probability_sum")
_BIN_SUMS: Final = ("predictions", "ups", "probability_sum")
_FIELDS: Final = (*_SUMS, *(f"bin_{number}_{what}" for what in _BIN_SUMS for number in range(score.BINS)))
_WHOLE: Final = frozenset(name for name in _FIELDS if not name.endswith(("brier_sum", "probability_sum")))

SumVector = npt.NDArray[np.float64]


class Rows(NamedTuple):
    """All trades of one symbol and minute, in the symbol's total order.

    Attributes:
        traded_at_ms: (n,) int64, ms UTC.
        price: (n,) float64, quote per base.
        is_buy: (n,) bool, of the taker.
        probability: (n,) float64; nan where the state is not `ok`.
        prediction: (n,) int64, 0 or 1; anything where the probability is nan.
        model: digest of the predicting model; None without a prediction.
    """

    traded_at_ms: Ints
    price: Floats
    is_buy: Bools
    probability: Floats
    prediction: Ints
    model: Sequence[str | None]


class MinuteBoundary(msgspec.Struct, frozen=True):
    """Prices of a minute that an earlier minute needs to find its next move."""

    first_ms: int
    last_ms: int
    first_price: float
    last_price: float
    second_price: float | None
    """First price that differs from `first_price`."""
    is_gap_free: bool
    """No gap lies before `second_price`, or in the whole minute without one."""


@dataclass(frozen=True, slots=True)
class ScoreSums:
    """Score sums of one model's predictions of a minute.

    Attributes:
        known: (k,) sums of predictions whose next move is in the minute.
        if_up: (k,) sums of the pending ones if the next different price is higher.
        if_down: (k,) the same if it is lower.
        pending: number of predictions without a next move so far.
        censored: number of predictions whose next move lies behind a gap.
    """

    known: SumVector
    if_up: SumVector
    if_down: SumVector
    pending: int
    censored: int


@dataclass(frozen=True, slots=True)
class MinuteScores:
    """Scores from one read of a minute's documents."""

    boundary: MinuteBoundary
    models: Mapping[str, ScoreSums]


class NextMove(NamedTuple):
    """Next move after the last price of a minute; neither known nor censored: still pending."""

    up: bool | None = None
    is_censored: bool = False


def score_minute(rows: Rows, gaps: Sequence[GapTimes]) -> MinuteScores:
    """Return the scores of a minute's predictions from the minute alone.

    Args:
        rows: all trades of the minute, at least one.
        gaps: known gaps of the symbol's feed.
    """
    times, price = rows.traded_at_ms, rows.price
    breaks = separated(gaps, times[:-1], times[1:])
    segment = np.concatenate([[0], np.cumsum(breaks)]).astype(np.int64)
    later = labels.next_change(price, segment)
    is_pending = (later < 0) & (segment == segment[-1])
    different = np.flatnonzero(price != price[0])
    until = int(different[0]) if len(different) else len(price) - 1
    second = float(price[until]) if len(different) else None
    joined = bool(segment[until] == segment[0])
    boundary = MinuteBoundary(int(times[0]), int(times[-1]), float(price[0]), float(price[-1]), second, joined)
    models: dict[str, ScoreSums] = {}
    has_prediction = ~np.isnan(rows.probability)
    digests = np.array([name or "" for name in rows.model], dtype=object)
    for digest in sorted({str(name) for name in digests[has_prediction]}):
        own = has_prediction & (digests == digest)
        known, pending, censored = own & (later >= 0), own & is_pending, own & (later < 0) & ~is_pending
        up = price[np.maximum(later, 0)] > price
        models[digest] = ScoreSums(
            _sums(rows, known, up[known]),
            _sums(rows, pending, np.ones(int(pending.sum()), dtype=bool)),
            _sums(rows, pending, np.zeros(int(pending.sum()), dtype=bool)),
            int(pending.sum()),
            int(censored.sum()),
        )
    return MinuteScores(boundary, models)


def _sums(rows: Rows, which: Bools, up: Bools) -> SumVector:
    """Return the sums of some rows with outcomes `up`."""
    probability = rows.probability[which]
    bins = np.minimum((probability * score.BINS).astype(np.int64), score.BINS - 1)
    by_bin = [np.bincount(bins, weights=of, minlength=score.BINS) for of in (np.ones(len(up)), up, probability)]
    plain = [
        len(up),
        np.count_nonzero((rows.prediction[which] == 1) == up),
        np.count_nonzero(up),
        np.count_nonzero(rows.is_buy[which] == up),
        np.sum((probability - up) ** 2),
        np.sum(probability),
    ]
    return np.concatenate([np.array(plain, dtype=np.float64), *by_bin])


def next_move(boundary: MinuteBoundary, later: Iterable[MinuteBoundary], gaps: Sequence[GapTimes]) -> NextMove:
    """Return the next move after the last price of a minute.

    Args:
        boundary: of the minute.
        later: of the following minutes with trades, in order and complete.
        gaps: known gaps of the symbol's feed.
    """
    before_ms, price = boundary.last_ms, boundary.last_price
    for following in later:
        if any(separates(gap, before_ms, following.first_ms) for gap in gaps):
            return NextMove(is_censored=True)
        if following.first_price != price:
            return NextMove(up=following.first_price > price)
        if not following.is_gap_free:
            return NextMove(is_censored=True)
        if following.second_price is not None:
            return NextMove(up=following.second_price > price)
        before_ms = following.last_ms
    return NextMove()


def document(
    instrument: Instrument, minute_ms: int, digest: str, score_sums: ScoreSums, move: NextMove, prior: float
) -> dict[str, Any]:
    """Return the document of one model's predictions of one minute, without `updated_at`.

    Args:
        instrument: whose minute.
        minute_ms: start of the minute, ms UTC.
        digest: of the model.
        score_sums: of its predictions.
        move: after the minute's last price.
        prior: share of higher prices that the model was trained on.
    """
    sums = score_sums.known
    if move.up is not None:
        sums = sums + (score_sums.if_up if move.up else score_sums.if_down)
    numbers = {name: int(value) if name in _WHOLE else float(value) for name, value in zip(_FIELDS, sums, strict=True)}
    predictions, ups = numbers["predictions"], numbers["ups"]
    return {
        "@timestamp": minute_ms,
        "venue": instrument.venue,
        "market_type": instrument.market_type,
        "symbol": instrument.symbol,
        "model_digest": digest,
        **numbers,
        "prior_brier_sum": ups * (1 - prior) ** 2 + (predictions - ups) * prior**2,
        "pending": score_sums.censored + (score_sums.pending if move.up is None else 0),
    }

"""How a minute's predictions turned out: sums over them, from the minute's documents and the price that came next.

Pure: rows in, documents out. A prediction is right about the next different price of its symbol, as tapeline.labels
has it, and never across a hole; late trades took part in the market and so in the prices. The last prices of a minute
wait for a later minute (`Tail`): kept are their sums for either answer, so that no row must be read twice.
To add a sum: add it to _SUMS and to tapeline.score.MAPPING.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from tapeline import names
from tapeline.model import labels
from tapeline.model.features import Bools, Floats, Ints
from tapeline.records import score

_SUMS: Final = ("predictions", "hits", "ups", "rule_hits", "brier_sum", "probability_sum")
_BIN_SUMS: Final = ("predictions", "ups", "probability_sum")
_FIELDS: Final = (*_SUMS, *(f"bin_{number}_{what}" for what in _BIN_SUMS for number in range(score.BINS)))
_WHOLE: Final = frozenset(name for name in _FIELDS if not name.endswith(("brier_sum", "probability_sum")))

Sums = npt.NDArray[np.float64]
Hole = tuple[int, int]
"""Times of the two known trades at its ends, ms UTC."""


class Rows(NamedTuple):
    """Every trade of one symbol and minute, in the symbol's total order.

    Attributes:
        traded_at_ms: (n,) int64, ms UTC.
        price: (n,) float64, quote per base.
        is_buy: (n,) bool, of the taker.
        probability: (n,) float64; nan where the state is not `ok`.
        prediction: (n,) int64, 0 or 1; anything where the probability is nan.
        model: digest of who said so; None where nobody did.
    """

    traded_at_ms: Ints
    price: Floats
    is_buy: Bools
    probability: Floats
    prediction: Ints
    model: Sequence[str | None]


class Head(msgspec.Struct, frozen=True):
    """What an earlier minute must know of this one to find its answer here."""

    first_ms: int
    last_ms: int
    first_price: float
    last_price: float
    second_price: float | None
    """The first that differs from the first one."""
    is_joined: bool
    """No hole lies before `second_price`, or, without one, anywhere."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one model's predictions of a minute have come to.

    Attributes:
        known: (k,) sums of those whose answer is in the minute itself.
        if_up: (k,) sums of the last ones, should the next different price be higher.
        if_down: (k,) the same, should it be lower.
        waiting: how many the last ones are.
        cut: predictions whose answer lies behind a hole.
    """

    known: Sums
    if_up: Sums
    if_down: Sums
    waiting: int
    cut: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What one look at a minute's documents gave."""

    head: Head
    models: Mapping[str, Told]


class Answer(NamedTuple):
    """What followed the last price of a minute; neither known nor cut: it is still to come."""

    up: bool | None = None
    is_cut: bool = False


def _is_broken(before_ms: Ints, after_ms: Ints, holes: Iterable[Hole]) -> Bools:
    """Return whether a hole lies between two trades, element by element."""
    broken = np.zeros(len(before_ms), dtype=bool)
    for start, stop in holes:
        if start == stop:
            broken |= (before_ms == start) & (after_ms == start)
        else:
            broken |= (before_ms < stop) & (after_ms > start)
    return broken


def read(rows: Rows, holes: Sequence[Hole]) -> Reading:
    """Return what is known of a minute's predictions from the minute alone.

    Args:
        rows: all trades of the minute, at least one.
        holes: known holes of the symbol's feed.
    """
    times, price = rows.traded_at_ms, rows.price
    breaks = _is_broken(times[:-1], times[1:], holes)
    segment = np.concatenate([[0], np.cumsum(breaks)]).astype(np.int64)
    later = labels.next_change(price, segment)
    waits = (later < 0) & (segment == segment[-1])
    different = np.flatnonzero(price != price[0])
    until = int(different[0]) if len(different) else len(price) - 1
    second = float(price[until]) if len(different) else None
    joined = bool(segment[until] == segment[0])
    head = Head(int(times[0]), int(times[-1]), float(price[0]), float(price[-1]), second, joined)
    models: dict[str, Told] = {}
    said = ~np.isnan(rows.probability)
    digests = np.array([name or "" for name in rows.model], dtype=object)
    for digest in sorted({str(name) for name in digests[said]}):
        own = said & (digests == digest)
        answered, waiting, cut = own & (later >= 0), own & waits, own & (later < 0) & ~waits
        up = price[np.maximum(later, 0)] > price
        models[digest] = Told(
            _sums(rows, answered, up[answered]),
            _sums(rows, waiting, np.ones(int(waiting.sum()), dtype=bool)),
            _sums(rows, waiting, np.zeros(int(waiting.sum()), dtype=bool)),
            int(waiting.sum()),
            int(cut.sum()),
        )
    return Reading(head, models)


def _sums(rows: Rows, which: Bools, up: Bools) -> Sums:
    """Return the sums of some rows, `up` being their answers."""
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


def answer(head: Head, later: Iterable[Head], holes: Sequence[Hole]) -> Answer:
    """Return what followed the last price of a minute.

    Args:
        head: of the minute.
        later: of the minutes with trades behind it, in order, none left out between them.
        holes: known holes of the symbol's feed.
    """
    before_ms, price = head.last_ms, head.last_price
    for next_one in later:
        if _is_broken(np.array([before_ms]), np.array([next_one.first_ms]), holes)[0]:
            return Answer(is_cut=True)
        if next_one.first_price != price:
            return Answer(up=next_one.first_price > price)
        if not next_one.is_joined:
            return Answer(is_cut=True)
        if next_one.second_price is not None:
            return Answer(up=next_one.second_price > price)
        before_ms = next_one.last_ms
    return Answer()


def document(
    key: tuple[str, str], minute_ms: int, digest: str, told: Told, followed: Answer, prior: float
) -> dict[str, Any]:
    """Return the document of one model's predictions of one minute, without `updated_at`.

    Args:
        key: market_type and symbol.
        minute_ms: start of the minute, ms UTC.
        digest: of the model.
        told: what its predictions have come to.
        followed: what followed the minute's last price.
        prior: share of higher prices that the model was trained on.
    """
    sums = told.known
    if followed.up is not None:
        sums = sums + (told.if_up if followed.up else told.if_down)
    numbers = {name: int(value) if name in _WHOLE else float(value) for name, value in zip(_FIELDS, sums, strict=True)}
    predictions, ups = numbers["predictions"], numbers["ups"]
    market_type, symbol = key
    return {
        "@timestamp": minute_ms,
        "venue": names.VENUE,
        "market_type": market_type,
        "symbol": symbol,
        "model_digest": digest,
        **numbers,
        "prior_brier_sum": ups * (1 - prior) ** 2 + (predictions - ups) * prior**2,
        "pending": told.cut + (told.waiting if followed.up is None else 0),
    }

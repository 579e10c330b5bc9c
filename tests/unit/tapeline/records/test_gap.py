"""Geometry of gaps, against an exchange's own list of trades."""

from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tapeline.records import gap as gaps
from tapeline.records.gap import Gap

START_MS = 1_790_000_000_000


@dataclass(frozen=True)
class Missing:
    """What an exchange traded, what of it reached us, and the gap that stands for the rest."""

    times_ms: list[int]
    known: list[int]
    """Places of the trades that reached us; those of `gone` did not."""
    gone: range
    gap: Gap


@st.composite
def losses(draw: st.DrawFn) -> Missing:
    pauses = draw(st.lists(st.integers(0, 2), min_size=3, max_size=30))
    times = [START_MS + sum(pauses[: n + 1]) for n in range(len(pauses))]
    first = draw(st.integers(1, len(times) - 2))
    gone = range(first, draw(st.integers(first + 1, len(times) - 1)))
    known = [place for place in range(len(times)) if place not in gone]
    gap = Gap(
        venue="bybit",
        market_type="spot",
        symbol="BTCUSDT",
        reason="reconnect",
        detected_at=START_MS + 1_000,
        from_traded_at=times[gone.start - 1],
        from_trade_id=str(gone.start - 1),
        to_traded_at=times[gone.stop],
        to_trade_id=str(gone.stop),
        backfilled=0,
    )
    return Missing(times, known, gone, gap)


def parted(loss: Missing) -> set[int]:
    """Return the rows of the known trades before which the exchange had others: the slow form."""
    pairs = zip(loss.known, loss.known[1:], strict=False)
    return {row for row, (before, after) in enumerate(pairs, start=1) if after - before > 1}


def known_times(loss: Missing) -> np.ndarray:
    return np.array([loss.times_ms[place] for place in loss.known], dtype=np.int64)


@given(losses())
def test_ids_separate_exactly_where_trades_are_missing(loss: Missing) -> None:
    ends = (loss.known.index(loss.gone.start - 1), loss.known.index(loss.gone.stop))
    rows = gaps.separated_rows(loss.gap, known_times(loss), *ends)
    assert set(rows) == parted(loss)


@given(losses(), st.sampled_from([(True, False), (False, True), (False, False)]))
def test_times_separate_wherever_trades_are_missing(loss: Missing, at_hand: tuple[bool, bool]) -> None:
    times = known_times(loss)
    places = (loss.known.index(loss.gone.start - 1), loss.known.index(loss.gone.stop))
    found = [place if is_there else None for place, is_there in zip(places, at_hand, strict=True)]
    rows = set(gaps.separated_rows(loss.gap, times, *found))
    assert parted(loss) <= rows
    # In doubt is only who shares a millisecond with an end, and the neighbours of those.
    ends = (loss.gap.from_traded_at, loss.gap.to_traded_at)
    assert all(times[row] in ends or times[row - 1] in ends for row in rows - parted(loss))


@given(losses())
def test_rows_pairs_and_single_pairs_agree(loss: Missing) -> None:
    times = known_times(loss)
    by_rows = set(gaps.separated_rows(loss.gap, times, None, None))
    by_pairs = np.flatnonzero(gaps.separated([loss.gap], times[:-1], times[1:])) + 1
    one_by_one = {n for n in range(1, len(times)) if gaps.separates(loss.gap, int(times[n - 1]), int(times[n]))}
    assert by_rows == set(by_pairs.tolist()) == one_by_one


@given(losses())
def test_times_cover_missing_trades_only(loss: Missing) -> None:
    covered = {place for place, at_ms in enumerate(loss.times_ms) if gaps.covers(loss.gap, at_ms)}
    assert covered <= set(loss.gone)
    shared = {loss.gap.from_traded_at, loss.gap.to_traded_at}
    assert covered == {place for place in loss.gone if loss.times_ms[place] not in shared}


@given(losses(), st.integers(-3, 60), st.integers(1, 60))
def test_a_span_is_touched_where_an_end_or_a_missing_trade_may_lie_in_it(
    loss: Missing, start: int, length: int
) -> None:
    from_ms, to_ms = START_MS + start, START_MS + start + length
    moments = range(loss.gap.from_traded_at, loss.gap.to_traded_at + 1)
    assert gaps.touches(loss.gap, from_ms, to_ms) == any(from_ms <= moment < to_ms for moment in moments)


@given(losses(), st.integers(-3, 60), st.integers(1, 60))
def test_the_query_says_the_same_as_touches(loss: Missing, start: int, length: int) -> None:
    from_ms, to_ms = START_MS + start, START_MS + start + length
    document = loss.gap.model_dump()
    compare = {"lt": lambda a, b: a < b, "gte": lambda a, b: a >= b}
    fits = all(
        compare[operator](document[field], value)
        for clause in gaps.touching_query(from_ms, to_ms)
        for field, bounds in clause["range"].items()
        for operator, value in bounds.items()
        if operator != "format"
    )
    assert fits == gaps.touches(loss.gap, from_ms, to_ms)


def test_a_gap_inside_one_millisecond_separates_all_that_share_it() -> None:
    times = np.array([1, 5, 5, 5, 9], dtype=np.int64) + START_MS
    gap = Gap.model_validate(
        {
            **{"venue": "bybit", "market_type": "spot", "symbol": "BTCUSDT", "reason": "stall", "backfilled": 0},
            **{"detected_at": START_MS, "from_traded_at": START_MS + 5, "from_trade_id": "b"},
            **{"to_traded_at": START_MS + 5, "to_trade_id": "c"},
        }
    )
    assert list(gaps.separated_rows(gap, times, None, None)) == [1, 2, 3, 4]
    assert list(gaps.separated_rows(gap, times, 1, 2)) == [2]
    assert not gaps.covers(gap, START_MS + 5)

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tapeline.enums import GapReason, TradeSource
from tapeline.records.gap import Gap
from tapeline_producer.exchange.bybit.messages import Trade, TradeBatch
from tapeline_producer.gaps.gap_detector import Released, SequenceTracker, SequenceTrackers, order_key

from unit.producer.factories import BTC, ETH, START_MS, trade

LIMIT = 5
NOW_MS = START_MS + 10_000


def tracker(window: int = 1000, buffer_limit: int = 100) -> SequenceTracker:
    return SequenceTracker(BTC, window, buffer_limit)


def backfill(*numbers: int) -> TradeBatch:
    return TradeBatch([trade(n, source=TradeSource.BACKFILL) for n in numbers], [], len(numbers))


def ids(released: Released) -> list[str]:
    return [one.trade_id for one in released.trades]


def ends(gaps: list[Gap]) -> list[tuple[str | None, str]]:
    return [(gap.from_trade_id, gap.to_trade_id) for gap in gaps]


def after_break(*seen: int) -> SequenceTracker:
    one = tracker()
    one.accept([trade(n) for n in seen], NOW_MS)
    one.pause(GapReason.RECONNECT)
    return one


def test_new_symbol_is_released_at_once_without_a_gap() -> None:
    one = tracker()
    one.pause(GapReason.RESTART)
    released = one.accept([trade(1)], NOW_MS)
    assert (ids(released), released.gaps) == (["t1"], [])


def test_duplicate_trade_is_dropped_and_counted() -> None:
    one = tracker()
    one.accept([trade(1), trade(2)], NOW_MS)
    released = one.accept([trade(2), trade(1), trade(3)], NOW_MS)
    assert (ids(released), len(released.duplicates)) == (["t3"], 2)


def test_late_trade_is_released_and_does_not_move_the_last_trade_back() -> None:
    one = tracker()
    one.accept([trade(1), trade(5)], NOW_MS)
    assert ids(one.accept([trade(3)], NOW_MS)) == ["t3"]
    assert one.last is not None and one.last.trade_id == "t5"


def test_frame_index_continues_over_frames_of_one_order_and_others_start_at_zero() -> None:
    one = tracker()
    same: dict[str, Any] = {"traded_at": START_MS, "sequence": 7}
    first = one.accept([trade(n, **same) for n in (1, 2, 3)], NOW_MS).trades
    second = one.accept([trade(4, **same), trade(5)], NOW_MS).trades
    assert [t.frame_index for t in first + second] == [0, 1, 2, 3, 0]


def test_frame_index_continues_after_an_interruption_by_a_later_trade() -> None:
    one = tracker()
    same: dict[str, Any] = {"traded_at": START_MS, "sequence": 7}
    one.accept([trade(1, **same), trade(9)], NOW_MS)
    assert one.accept([trade(2, **same)], NOW_MS).trades[0].frame_index == 1


def test_buffered_trades_follow_the_back_filled_ones_and_win_the_overlap() -> None:
    one = after_break(1, 2)
    assert ids(one.accept([trade(5), trade(6)], NOW_MS)) == []
    released = one.resolve(backfill(1, 2, 3, 4, 5), LIMIT, NOW_MS)
    assert [(t.trade_id, t.source) for t in released.trades] == [
        ("t3", "backfill"), ("t4", "backfill"), ("t5", "stream"), ("t6", "stream"),
    ]  # fmt: skip
    assert (released.gaps, released.duplicates, one.is_paused) == ([], [], False)


def test_backfill_with_the_last_trade_proves_continuity() -> None:
    assert after_break(1).resolve(backfill(1, 2, 3, 4, 5), LIMIT, NOW_MS).gaps == []


def test_backfill_with_an_older_trade_proves_continuity_without_the_last_one() -> None:
    one = tracker()
    one.accept([trade(2)], NOW_MS)
    one.pause(GapReason.RECONNECT)
    released = one.resolve(backfill(1, 3, 4, 5, 6), LIMIT, NOW_MS)
    assert (ids(released), released.gaps) == (["t3", "t4", "t5", "t6"], [])


def test_backfill_shorter_than_its_limit_proves_continuity() -> None:
    assert after_break(1).resolve(backfill(7, 8), LIMIT, NOW_MS).gaps == []


def test_backfill_that_does_not_reach_back_leaves_a_gap_with_exclusive_ends() -> None:
    released = after_break(1, 2).resolve(backfill(5, 6, 7, 8, 9), LIMIT, NOW_MS)
    (gap,) = released.gaps
    assert ends([gap]) == [("t2", "t5")]
    assert (gap.from_traded_at, gap.to_traded_at, gap.backfilled) == (START_MS + 2, START_MS + 5, 5)
    assert (gap.reason, gap.instrument) == (GapReason.RECONNECT, BTC)


def test_rejected_item_counts_towards_the_limit_so_that_it_cannot_prove_anything() -> None:
    full = TradeBatch([trade(n, source=TradeSource.BACKFILL) for n in (6, 7, 8, 9)], [], LIMIT)
    assert ends(after_break(1).resolve(full, LIMIT, NOW_MS).gaps) == [("t1", "t6")]


def test_failed_backfill_is_a_gap_to_the_first_buffered_trade() -> None:
    one = after_break(1)
    one.accept([trade(5), trade(6)], NOW_MS)
    released = one.abandon(NOW_MS)
    assert (ids(released), ends(released.gaps)) == (["t5", "t6"], [("t1", "t5")])


def test_failed_backfill_without_buffered_trades_is_one_gap_at_the_next_trade() -> None:
    one = after_break(1)
    assert one.abandon(NOW_MS) == Released([], [], [])
    assert ends(one.accept([trade(5)], NOW_MS).gaps) == [("t1", "t5")]
    assert one.accept([trade(6)], NOW_MS).gaps == []


def test_more_buffered_trades_than_allowed_end_the_pause_with_a_gap() -> None:
    one = tracker(buffer_limit=2)
    one.accept([trade(1)], NOW_MS)
    one.pause(GapReason.RECONNECT)
    released = one.accept([trade(5), trade(6), trade(7)], NOW_MS)
    assert (ids(released), ends(released.gaps), one.is_paused) == (["t5", "t6", "t7"], [("t1", "t5")], False)


def test_second_break_during_a_pause_is_closed_by_a_backfill_of_both() -> None:
    one = after_break(1)
    one.accept([trade(3)], NOW_MS)
    one.pause(GapReason.RECONNECT)
    one.accept([trade(5)], NOW_MS)
    released = one.resolve(backfill(1, 2, 3, 4, 5), LIMIT, NOW_MS)
    assert (ids(released), released.gaps) == (["t2", "t3", "t4", "t5"], [])


def test_second_break_during_a_pause_leaves_two_gaps_where_the_backfill_covers_neither() -> None:
    one = after_break(1)
    one.accept([trade(3)], NOW_MS)
    one.pause(GapReason.RECONNECT)
    released = one.resolve(backfill(11, 12, 13, 14, 15), LIMIT, NOW_MS)
    assert ends(released.gaps) == [("t1", "t3"), ("t3", "t11")]


def test_second_break_with_a_backfill_of_only_it_leaves_the_first_gap() -> None:
    one = after_break(1)
    one.accept([trade(5)], NOW_MS)
    one.pause(GapReason.RECONNECT)
    released = one.resolve(backfill(5, 6, 7, 8, 9), LIMIT, NOW_MS)
    assert (ids(released)[:2], ends(released.gaps)) == (["t5", "t6"], [("t1", "t5")])


def test_missing_trade_before_the_last_one_is_filled_from_the_backfill() -> None:
    one = after_break(1, 2, 4)
    assert ids(one.resolve(backfill(1, 2, 3, 4, 5), LIMIT, NOW_MS)) == ["t3", "t5"]


def test_trades_evicted_from_the_window_do_not_count_as_missed() -> None:
    one = tracker(window=2)
    one.accept([trade(n) for n in range(1, 6)], NOW_MS)
    one.pause(GapReason.RECONNECT)
    assert ids(one.resolve(backfill(2, 3, 4, 5, 6), LIMIT, NOW_MS)) == ["t6"]


def test_frame_index_continues_over_a_break_within_an_order() -> None:
    same: dict[str, Any] = {"traded_at": START_MS + 1, "sequence": 101}
    one = after_break(1)
    full = TradeBatch([trade(n, source=TradeSource.BACKFILL, **same) for n in (1, 2, 3)], [], 3)
    assert [t.frame_index for t in one.resolve(full, LIMIT, NOW_MS).trades] == [1, 2]


def test_symbol_found_in_the_log_continues_from_there() -> None:
    one = tracker()
    one.record_logged("t1", order_key(START_MS + 1, 101), 4)
    one.pause(GapReason.RESTART)
    same = trade(2, source=TradeSource.BACKFILL, traded_at=START_MS + 1, sequence=101)
    released = one.resolve(TradeBatch([trade(1), same], [], 2), LIMIT, NOW_MS)
    assert [(t.trade_id, t.frame_index) for t in released.trades] == [("t2", 5)]


def test_symbol_beyond_the_end_of_the_log_that_was_read_has_a_gap_from_a_time() -> None:
    trackers = SequenceTrackers(100, 100)
    trackers.unknown_since_ms = START_MS + 3
    one = trackers.get_or_create(BTC)
    one.pause(GapReason.RESTART)
    (gap,) = one.resolve(backfill(5, 6, 7, 8, 9), LIMIT, NOW_MS).gaps
    assert (gap.from_trade_id, gap.from_traded_at, gap.to_trade_id) == (None, START_MS + 3, "t5")


def test_backfill_older_than_the_log_tail_proves_an_absent_symbol_continuous() -> None:
    one = tracker()
    one.unknown_since_ms = START_MS + 3
    one.pause(GapReason.RESTART)
    released = one.resolve(backfill(1, 2, 3, 4, 5), LIMIT, NOW_MS)
    assert (ids(released), released.gaps) == (["t3", "t4", "t5"], [])


def test_buffered_trade_that_another_replica_wrote_proves_all_before_it() -> None:
    one = after_break(1)
    one.accept([trade(8), trade(9)], NOW_MS)
    assert not one.overlaps_log and not one.proves_continuity(backfill(5, 6, 7, 8, 9), LIMIT)
    for number in range(2, 9):
        one.record_logged(f"t{number}", order_key(START_MS + number, 100 + number), 0)
    assert one.overlaps_log and one.proves_continuity(backfill(5, 6, 7, 8, 9), LIMIT)
    released = one.resolve(TradeBatch([], [], 0), LIMIT, NOW_MS)
    assert (ids(released), released.gaps, len(released.duplicates)) == (["t9"], [], 1)


def test_log_that_ends_before_the_first_buffered_trade_proves_nothing_alone() -> None:
    one = after_break(1)
    one.accept([trade(8)], NOW_MS)
    one.record_logged("t2", order_key(START_MS + 2, 102), 0)
    assert not one.overlaps_log
    assert ends(one.resolve(backfill(4, 5, 6, 7, 8), LIMIT, NOW_MS).gaps) == [("t2", "t4")]


def test_known_trade_behind_a_second_break_proves_nothing_about_it() -> None:
    one = after_break(1)
    one.accept([trade(3)], NOW_MS)
    one.pause(GapReason.RECONNECT)
    one.record_logged("t3", order_key(START_MS + 3, 103), 0)
    assert not one.overlaps_log


def test_added_tracker_replaces_the_known_one_and_can_be_removed() -> None:
    trackers, added = SequenceTrackers(100, 100), SequenceTrackers(100, 100)
    trackers.get_or_create(BTC).record_logged("t1", order_key(START_MS + 1, 101), 0)
    added.get_or_create(BTC).record_logged("t5", order_key(START_MS + 5, 105), 0)
    trackers.replace(added)
    assert trackers.get_or_create(BTC).last == added.get_or_create(BTC).last
    assert trackers.remove(BTC) is not None
    assert trackers.get_or_create(BTC).last is None and trackers.remove(ETH) is None


def _orders(count: int) -> list[Trade]:
    """Return trades in the exchange's order, three to a taker order."""
    return [trade(n, traded_at=START_MS + n // 3, sequence=100 + n // 3) for n in range(count)]


@settings(deadline=None)
@given(
    cut=st.integers(1, 30), back=st.integers(31, 60), reach=st.integers(1, 60),
    repeats=st.lists(st.integers(0, 59), max_size=10),
)  # fmt: skip
def test_every_trade_is_released_once_or_lies_in_a_gap(cut: int, back: int, reach: int, repeats: list[int]) -> None:
    generated = _orders(60)
    one = tracker()
    out: list[Trade] = []
    released = one.accept(generated[:cut], NOW_MS)
    out += released.trades
    one.pause(GapReason.RECONNECT)
    one.accept(generated[back:], NOW_MS)
    one.accept([generated[n] for n in repeats if n < cut or n >= back], NOW_MS)
    rest = [
        trade(n, TradeSource.BACKFILL, traded_at=t.traded_at, sequence=t.sequence) for n, t in enumerate(generated)
    ][-reach:]
    released = one.resolve(TradeBatch(rest, [], reach), reach, NOW_MS)
    out += released.trades
    order = [t.trade_id for t in generated]
    in_gaps = [
        i for g in released.gaps for i in order[order.index(str(g.from_trade_id)) + 1 : order.index(g.to_trade_id)]
    ]
    got = [t.trade_id for t in out]
    assert sorted(got + in_gaps) == sorted(order)
    assert got == [i for i in order if i in set(got)]
    order_keys = [(t.traded_at, t.sequence, t.frame_index) for t in out]
    assert len(set(order_keys)) == len(order_keys) and order_keys == sorted(order_keys)

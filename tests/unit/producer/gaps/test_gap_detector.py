from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tapeline.records.gap import Gap
from tapeline_producer.exchange.bybit.messages import Trade, Trades
from tapeline_producer.gaps.gap_detector import Histories, History, Released, key_of

from unit.producer.made import START_MS, trade

LIMIT = 5
NOW_MS = START_MS + 10_000


def history(window: int = 1000, hold_limit: int = 100) -> History:
    return History("spot", "BTCUSDT", window, hold_limit)


def answer(*numbers: int) -> Trades:
    return Trades([trade(n, source="backfill") for n in numbers], [], len(numbers))


def ids(released: Released) -> list[str]:
    return [one.trade_id for one in released.trades]


def ends(gaps: list[Gap]) -> list[tuple[str | None, str]]:
    return [(gap.from_trade_id, gap.to_trade_id) for gap in gaps]


def after_break(*seen: int) -> History:
    one = history()
    one.take([trade(n) for n in seen], NOW_MS)
    one.hold("reconnect")
    return one


def test_new_symbol_flows_at_once_and_owes_no_gap() -> None:
    one = history()
    one.hold("restart")
    released = one.take([trade(1)], NOW_MS)
    assert (ids(released), released.gaps) == (["t1"], [])


def test_trade_seen_before_is_dropped_and_counted() -> None:
    one = history()
    one.take([trade(1), trade(2)], NOW_MS)
    released = one.take([trade(2), trade(1), trade(3)], NOW_MS)
    assert (ids(released), len(released.duplicates)) == (["t3"], 2)


def test_late_trade_is_let_through_and_does_not_move_the_newest_back() -> None:
    one = history()
    one.take([trade(1), trade(5)], NOW_MS)
    assert ids(one.take([trade(3)], NOW_MS)) == ["t3"]
    assert one.last is not None and one.last.trade_id == "t5"


def test_trades_of_one_order_are_counted_on_over_frames_and_others_start_at_zero() -> None:
    one = history()
    same: dict[str, Any] = {"traded_at": START_MS, "sequence": 7}
    first = one.take([trade(n, **same) for n in (1, 2, 3)], NOW_MS).trades
    second = one.take([trade(4, **same), trade(5)], NOW_MS).trades
    assert [t.frame_index for t in first + second] == [0, 1, 2, 3, 0]


def test_order_interrupted_by_a_late_frame_is_still_counted_on() -> None:
    one = history()
    same: dict[str, Any] = {"traded_at": START_MS, "sequence": 7}
    one.take([trade(1, **same), trade(9)], NOW_MS)
    assert one.take([trade(2, **same)], NOW_MS).trades[0].frame_index == 1


def test_held_trades_follow_the_back_filled_ones_and_the_overlap_stays_ours() -> None:
    one = after_break(1, 2)
    assert ids(one.take([trade(5), trade(6)], NOW_MS)) == []
    released = one.merge(answer(1, 2, 3, 4, 5), LIMIT, NOW_MS)
    assert [(t.trade_id, t.source) for t in released.trades] == [
        ("t3", "backfill"), ("t4", "backfill"), ("t5", "stream"), ("t6", "stream"),
    ]  # fmt: skip
    assert (released.gaps, released.duplicates, one.holding) == ([], [], False)


def test_answer_that_holds_the_last_trade_proves_continuity() -> None:
    assert after_break(1).merge(answer(1, 2, 3, 4, 5), LIMIT, NOW_MS).gaps == []


def test_answer_with_an_older_trade_proves_continuity_without_the_last_one() -> None:
    one = history()
    one.take([trade(2)], NOW_MS)
    one.hold("reconnect")
    released = one.merge(answer(1, 3, 4, 5, 6), LIMIT, NOW_MS)
    assert (ids(released), released.gaps) == (["t3", "t4", "t5", "t6"], [])


def test_answer_shorter_than_its_limit_proves_continuity() -> None:
    assert after_break(1).merge(answer(7, 8), LIMIT, NOW_MS).gaps == []


def test_answer_that_does_not_reach_back_leaves_a_gap_with_exclusive_ends() -> None:
    released = after_break(1, 2).merge(answer(5, 6, 7, 8, 9), LIMIT, NOW_MS)
    (gap,) = released.gaps
    assert ends([gap]) == [("t2", "t5")]
    assert (gap.from_traded_at, gap.to_traded_at, gap.backfilled) == (START_MS + 2, START_MS + 5, 5)
    assert gap.reason == "reconnect"


def test_rejected_item_counts_towards_the_limit_so_that_it_cannot_prove_anything() -> None:
    full = Trades([trade(n, source="backfill") for n in (6, 7, 8, 9)], [], LIMIT)
    assert ends(after_break(1).merge(full, LIMIT, NOW_MS).gaps) == [("t1", "t6")]


def test_failed_back_fill_is_a_gap_to_the_first_held_trade() -> None:
    one = after_break(1)
    one.take([trade(5), trade(6)], NOW_MS)
    released = one.give_up(NOW_MS)
    assert (ids(released), ends(released.gaps)) == (["t5", "t6"], [("t1", "t5")])


def test_failed_back_fill_with_nothing_held_is_a_gap_at_the_next_trade_once() -> None:
    one = after_break(1)
    assert one.give_up(NOW_MS) == Released([], [], [])
    assert ends(one.take([trade(5)], NOW_MS).gaps) == [("t1", "t5")]
    assert one.take([trade(6)], NOW_MS).gaps == []


def test_more_held_trades_than_allowed_end_the_hold_with_a_gap() -> None:
    one = history(hold_limit=2)
    one.take([trade(1)], NOW_MS)
    one.hold("reconnect")
    released = one.take([trade(5), trade(6), trade(7)], NOW_MS)
    assert (ids(released), ends(released.gaps), one.holding) == (["t5", "t6", "t7"], [("t1", "t5")], False)


def test_second_break_during_a_hold_is_healed_by_an_answer_that_spans_both() -> None:
    one = after_break(1)
    one.take([trade(3)], NOW_MS)
    one.hold("reconnect")
    one.take([trade(5)], NOW_MS)
    released = one.merge(answer(1, 2, 3, 4, 5), LIMIT, NOW_MS)
    assert (ids(released), released.gaps) == (["t2", "t3", "t4", "t5"], [])


def test_second_break_during_a_hold_leaves_two_gaps_where_the_answer_spans_neither() -> None:
    one = after_break(1)
    one.take([trade(3)], NOW_MS)
    one.hold("reconnect")
    released = one.merge(answer(11, 12, 13, 14, 15), LIMIT, NOW_MS)
    assert ends(released.gaps) == [("t1", "t3"), ("t3", "t11")]


def test_second_break_with_an_answer_that_spans_only_it_leaves_the_first_gap() -> None:
    one = after_break(1)
    one.take([trade(5)], NOW_MS)
    one.hold("reconnect")
    released = one.merge(answer(5, 6, 7, 8, 9), LIMIT, NOW_MS)
    assert (ids(released)[:2], ends(released.gaps)) == (["t5", "t6"], [("t1", "t5")])


def test_hole_behind_the_newest_trade_is_filled_from_the_answer() -> None:
    one = after_break(1, 2, 4)
    assert ids(one.merge(answer(1, 2, 3, 4, 5), LIMIT, NOW_MS)) == ["t3", "t5"]


def test_trades_forgotten_by_the_window_are_not_taken_for_missed_ones() -> None:
    one = history(window=2)
    one.take([trade(n) for n in range(1, 6)], NOW_MS)
    one.hold("reconnect")
    assert ids(one.merge(answer(2, 3, 4, 5, 6), LIMIT, NOW_MS)) == ["t6"]


def test_rest_of_an_order_cut_by_the_break_is_counted_on() -> None:
    same: dict[str, Any] = {"traded_at": START_MS + 1, "sequence": 101}
    one = after_break(1)
    full = Trades([trade(n, source="backfill", **same) for n in (1, 2, 3)], [], 3)
    assert [t.frame_index for t in one.merge(full, LIMIT, NOW_MS).trades] == [1, 2]


def test_symbol_found_in_the_log_continues_from_there() -> None:
    one = history()
    one.remember("t1", key_of(START_MS + 1, 101), 4)
    one.hold("restart")
    same = trade(2, source="backfill", traded_at=START_MS + 1, sequence=101)
    released = one.merge(Trades([trade(1), same], [], 2), LIMIT, NOW_MS)
    assert [(t.trade_id, t.frame_index) for t in released.trades] == [("t2", 5)]


def test_symbol_beyond_the_end_of_the_log_that_was_read_has_a_gap_from_a_time() -> None:
    all_of_them = Histories(100, 100)
    all_of_them.unknown_since = START_MS + 3
    one = all_of_them.of("spot", "BTCUSDT")
    one.hold("restart")
    (gap,) = one.merge(answer(5, 6, 7, 8, 9), LIMIT, NOW_MS).gaps
    assert (gap.from_trade_id, gap.from_traded_at, gap.to_trade_id) == (None, START_MS + 3, "t5")


def test_answer_older_than_what_was_read_of_the_log_proves_an_absent_symbol_continuous() -> None:
    one = history()
    one.unknown_since = START_MS + 3
    one.hold("restart")
    released = one.merge(answer(1, 2, 3, 4, 5), LIMIT, NOW_MS)
    assert (ids(released), released.gaps) == (["t3", "t4", "t5"], [])


def test_held_trade_that_another_replica_wrote_proves_all_before_it() -> None:
    one = after_break(1)
    one.take([trade(8), trade(9)], NOW_MS)
    assert not one.overlaps and not one.is_proven(answer(5, 6, 7, 8, 9), LIMIT)
    for number in range(2, 9):
        one.remember(f"t{number}", key_of(START_MS + number, 100 + number), 0)
    assert one.overlaps and one.is_proven(answer(5, 6, 7, 8, 9), LIMIT)
    released = one.merge(Trades([], [], 0), LIMIT, NOW_MS)
    assert (ids(released), released.gaps, len(released.duplicates)) == (["t9"], [], 1)


def test_log_that_ends_before_the_first_held_trade_proves_nothing_alone() -> None:
    one = after_break(1)
    one.take([trade(8)], NOW_MS)
    one.remember("t2", key_of(START_MS + 2, 102), 0)
    assert not one.overlaps
    assert ends(one.merge(answer(4, 5, 6, 7, 8), LIMIT, NOW_MS).gaps) == [("t2", "t4")]


def test_known_trade_behind_a_second_break_proves_nothing_about_it() -> None:
    one = after_break(1)
    one.take([trade(3)], NOW_MS)
    one.hold("reconnect")
    one.remember("t3", key_of(START_MS + 3, 103), 0)
    assert not one.overlaps


def test_history_taken_over_replaces_what_was_known_and_is_gone_when_forgotten() -> None:
    ours, theirs = Histories(100, 100), Histories(100, 100)
    ours.of("spot", "BTCUSDT").remember("t1", key_of(START_MS + 1, 101), 0)
    theirs.of("spot", "BTCUSDT").remember("t5", key_of(START_MS + 5, 105), 0)
    ours.adopt(theirs)
    assert ours.of("spot", "BTCUSDT").last == theirs.of("spot", "BTCUSDT").last
    assert ours.forget("spot", "BTCUSDT") is not None
    assert ours.of("spot", "BTCUSDT").last is None and ours.forget("spot", "ETHUSDT") is None


def _orders(count: int) -> list[Trade]:
    """Trades in the exchange's order, three to a taker order."""
    return [trade(n, traded_at=START_MS + n // 3, sequence=100 + n // 3) for n in range(count)]


@settings(deadline=None)
@given(
    cut=st.integers(1, 30), back=st.integers(31, 60), reach=st.integers(1, 60),
    repeats=st.lists(st.integers(0, 59), max_size=10),
)  # fmt: skip
def test_every_trade_is_released_once_or_lies_in_a_gap(cut: int, back: int, reach: int, repeats: list[int]) -> None:
    made = _orders(60)
    one = history()
    out: list[Trade] = []
    released = one.take(made[:cut], NOW_MS)
    out += released.trades
    one.hold("reconnect")
    one.take(made[back:], NOW_MS)
    one.take([made[n] for n in repeats if n < cut or n >= back], NOW_MS)
    rest = [trade(n, "backfill", traded_at=t.traded_at, sequence=t.sequence) for n, t in enumerate(made)][-reach:]
    released = one.merge(Trades(rest, [], reach), reach, NOW_MS)
    out += released.trades
    order = [t.trade_id for t in made]
    in_gaps = [
        i for g in released.gaps for i in order[order.index(str(g.from_trade_id)) + 1 : order.index(g.to_trade_id)]
    ]
    got = [t.trade_id for t in out]
    assert sorted(got + in_gaps) == sorted(order)
    assert got == [i for i in order if i in set(got)]
    places = [(t.traded_at, t.sequence, t.frame_index) for t in out]
    assert len(set(places)) == len(places) and places == sorted(places)

from tapeline_producer.kafka.overflow import OverflowPolicy

from unit.producer.factories import START_MS, trade

NOW_MS = START_MS + 500


def test_trades_are_kept_while_there_is_room() -> None:
    overflow = OverflowPolicy(4)
    assert [overflow.admit(trade(n), n, NOW_MS) for n in range(4)] == [(True, None)] * 4


def test_gap_runs_from_the_last_kept_trade_to_the_next_kept_one() -> None:
    overflow = OverflowPolicy(4)
    overflow.admit(trade(1), 3, NOW_MS)
    assert [overflow.admit(trade(n), 4, NOW_MS) for n in (2, 3)] == [(False, None)] * 2
    keep, gap = overflow.admit(trade(4), 0, NOW_MS)
    assert keep and gap is not None
    assert (gap.from_trade_id, gap.to_trade_id, gap.reason) == ("t1", "t4", "overflow")
    assert overflow.admit(trade(5), 0, NOW_MS) == (True, None)


def test_trades_are_dropped_until_a_quarter_is_free_so_that_one_gap_is_enough() -> None:
    overflow = OverflowPolicy(100)
    assert not overflow.admit(trade(1), 100, NOW_MS)[0]
    assert not overflow.admit(trade(2), 99, NOW_MS)[0]
    assert not overflow.admit(trade(3), 76, NOW_MS)[0]
    assert overflow.admit(trade(4), 75, NOW_MS)[0]


def test_each_symbol_has_its_own_gap() -> None:
    overflow = OverflowPolicy(4)
    overflow.record_logged("linear", "BTCUSDT", "old", START_MS)
    for market_type in ("spot", "linear"):
        overflow.admit(trade(7, market_type=market_type), 4, NOW_MS)
    gaps = [overflow.admit(trade(8, market_type=c), 0, NOW_MS)[1] for c in ("spot", "linear")]
    assert [(g.market_type, g.from_trade_id, g.from_traded_at) for g in gaps if g] == [
        ("spot", None, START_MS + 7), ("linear", "old", START_MS),
    ]  # fmt: skip


def test_open_gap_of_a_removed_symbol_is_not_reported() -> None:
    overflow = OverflowPolicy(4)
    overflow.admit(trade(1), 0, NOW_MS)
    overflow.admit(trade(2), 4, NOW_MS)
    overflow.remove_symbol("spot", "BTCUSDT")
    assert overflow.admit(trade(3), 0, NOW_MS) == (True, None)

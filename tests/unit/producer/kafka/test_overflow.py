from tapeline.enums import GapReason
from tapeline_producer.kafka.overflow import OverflowPolicy

from unit.producer.factories import BTC, BTC_LINEAR, START_MS, trade

NOW_MS = START_MS + 500


def test_trades_are_kept_while_there_is_room() -> None:
    overflow = OverflowPolicy(4)
    assert [overflow.admit(BTC, trade(n), n, NOW_MS) for n in range(4)] == [(True, None)] * 4


def test_gap_runs_from_the_last_kept_trade_to_the_next_kept_one() -> None:
    overflow = OverflowPolicy(4)
    overflow.admit(BTC, trade(1), 3, NOW_MS)
    assert [overflow.admit(BTC, trade(n), 4, NOW_MS) for n in (2, 3)] == [(False, None)] * 2
    keep, gap = overflow.admit(BTC, trade(4), 0, NOW_MS)
    assert keep and gap is not None
    assert (gap.from_trade_id, gap.to_trade_id, gap.reason) == ("t1", "t4", GapReason.OVERFLOW)
    assert overflow.admit(BTC, trade(5), 0, NOW_MS) == (True, None)


def test_trades_are_dropped_until_a_quarter_is_free_so_that_one_gap_is_enough() -> None:
    overflow = OverflowPolicy(100)
    assert not overflow.admit(BTC, trade(1), 100, NOW_MS)[0]
    assert not overflow.admit(BTC, trade(2), 99, NOW_MS)[0]
    assert not overflow.admit(BTC, trade(3), 76, NOW_MS)[0]
    assert overflow.admit(BTC, trade(4), 75, NOW_MS)[0]


def test_each_instrument_has_its_own_gap() -> None:
    overflow = OverflowPolicy(4)
    overflow.record_logged(BTC_LINEAR, "old", START_MS)
    for instrument in (BTC, BTC_LINEAR):
        overflow.admit(instrument, trade(7, market_type=instrument.market_type), 4, NOW_MS)
    gaps = [overflow.admit(one, trade(8, market_type=one.market_type), 0, NOW_MS)[1] for one in (BTC, BTC_LINEAR)]
    assert [(g.instrument, g.from_trade_id, g.from_traded_at) for g in gaps if g] == [
        (BTC, None, START_MS + 7), (BTC_LINEAR, "old", START_MS),
    ]  # fmt: skip


def test_open_gap_of_a_removed_instrument_is_not_reported() -> None:
    overflow = OverflowPolicy(4)
    overflow.admit(BTC, trade(1), 0, NOW_MS)
    overflow.admit(BTC, trade(2), 4, NOW_MS)
    overflow.remove(BTC)
    assert overflow.admit(BTC, trade(3), 0, NOW_MS) == (True, None)

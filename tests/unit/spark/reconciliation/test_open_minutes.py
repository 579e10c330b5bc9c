"""What is remembered of open minutes, and what is due."""

from dataclasses import replace

from tapeline import names
from tapeline.records.reject import Reject
from tapeline_spark.evaluation.scores import Head
from tapeline_spark.reconciliation.open_minutes import Ledger
from tapeline_spark.reconciliation.rule import GRACE_MS, Hands

from unit.spark.followed import KEY, MINUTE_MS, START, candle, changed, counted, hole, row

KEEP_MS = 35 * MINUTE_MS
OVER = START + MINUTE_MS + GRACE_MS
RECOUNT_MS = 60_000
NOW = 1_000_000


def ledger_of(*changes):
    ledger = Ledger(KEEP_MS)
    for one in changes:
        ledger.apply(one)
    return ledger


def looked_at(ledger, now_ms=NOW, state="complete"):
    for key, minute_ms, minute in ledger.due(now_ms, RECOUNT_MS):
        ledger.look(minute, ledger.hands(key, minute_ms, minute.distinct), now_ms)
        minute.state = state
    return ledger


def due(ledger, now_ms=NOW):
    return [minute_ms for _, minute_ms, _ in ledger.due(now_ms, RECOUNT_MS)]


def test_hands_of_all_producers_and_of_the_log_are_added_up():
    ledger = ledger_of(
        changed(OVER, candle(START, 4, logged=6), rows=[counted(START, 3, 2), counted(START, 2, 2, "q.0")]),
        changed(OVER, rows=[counted(START, 3, 3), hole(START - 90_000, START + 5), hole(START - 90_000, START + 5)]),
    )
    assert ledger.hands(KEY, START, 4) == Hands(
        received=5, produced=5, logged=6, distinct=4, missed=0, indexed=4, rejected=0, gaps=1
    )


def test_report_sent_twice_or_out_of_order_counts_once():
    ledger = ledger_of(changed(OVER, rows=[counted(START, 3, 3), counted(START, 3, 3), counted(START, 2, 1)]))
    assert ledger.hands(KEY, START, 0).produced == 3


def test_saved_state_is_the_same_and_unreadable_ones_begin_anew():
    ledger = looked_at(ledger_of(changed(OVER, candle(START, 4), rows=[counted(START, 4, 4), hole(START, START + 9)])))
    ledger.of(KEY)[START].head = Head(1, 2, 3.0, 4.0, None, True)
    again = Ledger(KEEP_MS, ledger.save())
    assert again.save() == ledger.save()
    assert again.of(KEY) == ledger.of(KEY)
    assert list(Ledger(KEEP_MS, b"\xc1 what").each()) == []


def test_minute_is_due_with_news_while_it_is_open_and_again_by_and_by():
    ledger = looked_at(ledger_of(changed(OVER, candle(START, 4))))
    assert due(ledger) == []
    ledger.apply(changed(OVER, rows=[counted(START, 4, 4)]))
    assert due(ledger) == [START]
    looked_at(ledger, state="open")
    assert due(ledger) == [START]
    looked_at(ledger, state="incomplete")
    assert (due(ledger, NOW + 14_000), due(ledger, NOW + 15_000)) == ([], [START])
    looked_at(ledger, NOW + 20_000)
    assert (due(ledger, NOW + 79_000), due(ledger, NOW + 80_000)) == ([], [START])


def test_running_minute_is_looked_at_now_and_then_only():
    ledger = looked_at(ledger_of(changed(START + 30_000, candle(START, 4))))
    ledger.apply(changed(START + 31_000, candle(START, 5)))
    assert due(ledger, NOW + 59_000) == []
    assert due(ledger, NOW + 60_000) == [START]


def test_hands_are_still_since_they_moved_last():
    ledger = looked_at(ledger_of(changed(OVER, candle(START, 4))))
    minute = ledger.of(KEY)[START]
    assert ledger.look(minute, ledger.hands(KEY, START, 4), NOW + 9_000) == 9_000
    assert ledger.look(minute, ledger.hands(KEY, START, 3), NOW + 9_500) == 0


def test_living_producer_owes_what_it_read_and_a_dead_one_owes_nothing():
    ledger = ledger_of(changed(OVER, rows=[counted(START, 4, 3, "p.0", START)]))
    minute = ledger.of(KEY)[START]
    assert ledger.is_owed(minute)
    ledger.apply(changed(OVER, rows=[counted(START + MINUTE_MS, 1, 1, "q.0", START + 31_000)]))
    assert not ledger.is_owed(minute)
    ledger.apply(changed(OVER, rows=[counted(START + MINUTE_MS, 1, 1, "p.1", START + 31_000)]))
    assert ledger.is_owed(minute)


def test_trades_too_late_for_the_candle_are_in_the_log_all_the_same():
    ledger = ledger_of(changed(OVER, candle(START, 4)), changed(OVER, missed={KEY: {START: 2}}))
    hands = ledger.hands(KEY, START, 6)
    assert (hands.logged, hands.distinct, hands.missed, hands.is_indexed) == (6, 4, 2, True)
    ledger.apply(changed(OVER, missed={KEY: {START: 2}}))
    assert ledger.hands(KEY, START, 6) == hands


def test_rejects_are_counted_where_they_belong():
    reject = Reject.of("producer", "no", b'{"s":"BTCUSDT","T":%d}' % START, START, "spot").model_dump_json().encode()
    ledger = ledger_of(changed(OVER, candle(START, 4), rows=[row(names.TOPIC_REJECTS, reject)]))
    ledger.apply(changed(OVER, unreadable=(row(names.TOPIC_TRADES, b'{"market_type":"spot"'),)))
    assert ledger.hands(KEY, START, 4).rejected == 2


def test_settled_minute_is_let_go_and_takes_no_counts_any_more():
    ledger = looked_at(ledger_of(changed(OVER, candle(START, 4))))
    assert ledger.settle(NOW + 61_000) == 0
    ledger.apply(changed(START + 2 * MINUTE_MS + KEEP_MS))
    assert ledger.settle(NOW + 59_000) == 0, "its hands moved a moment ago"
    assert ledger.settle(NOW + 61_000) == 1
    ledger.apply(changed(START + 2 * MINUTE_MS + KEEP_MS, rows=[counted(START, 4, 4)]))
    assert (list(ledger.each()), ledger.strays) == ([], 1)


def test_hole_in_a_settled_minute_is_gone_back_to_until_it_is_written():
    late = START + 3 * MINUTE_MS + KEEP_MS
    ledger = ledger_of(changed(late, rows=[hole(START + 1, START + MINUTE_MS + 1)]))
    assert ledger.amendments() == [(KEY, START), (KEY, START + MINUTE_MS)]
    assert Ledger(KEEP_MS, ledger.save()).amendments() == ledger.amendments()
    assert ledger.gaps(KEY, START) == 1
    ledger.settle(NOW)
    assert ledger.amendments() == []


QUIET = -1.0


def read_minutes(*second_prices):
    """Return a ledger whose minutes have all been read and scored; None: one price all the minute."""
    candles = [candle(START + n * MINUTE_MS, int(second != QUIET)) for n, second in enumerate(second_prices)]
    ledger = ledger_of(changed(OVER + len(candles) * MINUTE_MS, *candles))
    for minute, second in zip(ledger.of(KEY).values(), second_prices, strict=True):
        if second != QUIET:
            minute.head, minute.is_scored = Head(0, 0, 1.0, second or 1.0, second, True), True
    return ledger


def unscored(ledger):
    return [n for n, minute in enumerate(ledger.of(KEY).values()) if not minute.is_scored]


def test_late_trade_puts_in_question_what_earlier_minutes_learnt_from_there():
    ledger = read_minutes(2.0, 2.0, None, QUIET, None, 2.0)
    late = replace(candle(START + 4 * MINUTE_MS, 2), late_trades=1)
    ledger.apply(changed(OVER + 6 * MINUTE_MS, late))
    assert unscored(ledger) == [1, 2, 3, 4]
    assert ledger.of(KEY)[START + 4 * MINUTE_MS].head is None


def test_late_trade_of_a_quiet_minute_puts_in_question_what_was_learnt_over_it():
    ledger = read_minutes(2.0, 2.0, QUIET, 2.0)
    ledger.apply(changed(OVER + 4 * MINUTE_MS, candle(START + 2 * MINUTE_MS, 1)))
    assert unscored(ledger) == [1, 2]


def test_trades_of_the_running_minute_put_nothing_in_question():
    ledger = read_minutes(2.0, None)
    for trades in (1, 2):
        ledger.apply(changed(OVER + MINUTE_MS, candle(START + 2 * MINUTE_MS, trades)))
    assert unscored(ledger) == [2]


def test_hole_puts_in_question_what_lies_around_it_and_no_more():
    ledger = read_minutes(2.0, 2.0, 2.0, 2.0)
    ledger.apply(changed(OVER + 4 * MINUTE_MS, rows=[hole(START + 2 * MINUTE_MS + 1, START + 2 * MINUTE_MS + 2)]))
    assert unscored(ledger) == [1, 2]

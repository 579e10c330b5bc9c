"""State of open minutes, and which are due for a check."""

from tapeline import names
from tapeline.records.reject import Reject
from tapeline_spark.minutes.minute_trades import GRACE_MS
from tapeline_spark.reconciliation.open_minutes import OpenMinutes
from tapeline_spark.reconciliation.rule import StageCounts

from unit.spark.change_factories import INSTRUMENT, MINUTE_MS, START, candle, changed, counted, gap_row, row

KEEP_MS = 35 * MINUTE_MS
OVER = START + MINUTE_MS + GRACE_MS
RECOUNT_MS = 60_000
NOW = 1_000_000


def open_minutes_of(*changes):
    open_minutes = OpenMinutes(KEEP_MS)
    for one in changes:
        open_minutes.apply(one)
    return open_minutes


def minutes_of(open_minutes):
    return {minute_ms: minute for instrument, minute_ms, minute in open_minutes.items() if instrument == INSTRUMENT}


def checked(open_minutes, now_ms=NOW, state="complete"):
    for key, minute_ms, minute in open_minutes.due(now_ms, RECOUNT_MS):
        open_minutes.record_check(minute, open_minutes.stage_counts(key, minute_ms, minute.distinct), now_ms)
        minute.state = state
    return open_minutes


def due(open_minutes, now_ms=NOW):
    return [minute_ms for _, minute_ms, _ in open_minutes.due(now_ms, RECOUNT_MS)]


def test_counts_of_all_producers_and_of_the_log_are_added_up():
    open_minutes = open_minutes_of(
        changed(OVER, candle(START, 4, logged=6), rows=[counted(START, 3, 2), counted(START, 2, 2, "q.0")]),
        changed(
            OVER, rows=[counted(START, 3, 3), gap_row(START - 90_000, START + 5), gap_row(START - 90_000, START + 5)]
        ),
    )
    assert open_minutes.stage_counts(INSTRUMENT, START, 4) == StageCounts(
        received=5, produced=5, logged=6, distinct=4, missed=0, indexed=4, rejected=0, gaps=1
    )


def test_report_sent_twice_or_out_of_order_counts_once():
    open_minutes = open_minutes_of(
        changed(OVER, rows=[counted(START, 3, 3), counted(START, 3, 3), counted(START, 2, 1)])
    )
    assert open_minutes.stage_counts(INSTRUMENT, START, 0).produced == 3


def test_saved_state_is_the_same_and_unreadable_ones_begin_anew():
    open_minutes = checked(
        open_minutes_of(changed(OVER, candle(START, 4), rows=[counted(START, 4, 4), gap_row(START, START + 9)]))
    )
    again = OpenMinutes(KEEP_MS, open_minutes.snapshot())
    assert again.snapshot() == open_minutes.snapshot()
    assert minutes_of(again) == minutes_of(open_minutes)
    assert list(OpenMinutes(KEEP_MS, b"\xc1 what").items()) == []


def test_minute_is_due_with_news_while_it_is_open_and_again_by_and_by():
    open_minutes = checked(open_minutes_of(changed(OVER, candle(START, 4))))
    assert due(open_minutes) == []
    open_minutes.apply(changed(OVER, rows=[counted(START, 4, 4)]))
    assert due(open_minutes) == [START]
    checked(open_minutes, state="open")
    assert due(open_minutes) == [START]
    checked(open_minutes, state="incomplete")
    assert (due(open_minutes, NOW + 14_000), due(open_minutes, NOW + 15_000)) == ([], [START])
    checked(open_minutes, NOW + 20_000)
    assert (due(open_minutes, NOW + 79_000), due(open_minutes, NOW + 80_000)) == ([], [START])


def test_running_minute_is_checked_at_the_recount_interval_only():
    open_minutes = checked(open_minutes_of(changed(START + 30_000, candle(START, 4))))
    open_minutes.apply(changed(START + 31_000, candle(START, 5)))
    assert due(open_minutes, NOW + 59_000) == []
    assert due(open_minutes, NOW + 60_000) == [START]


def test_counts_are_unchanged_since_their_last_change():
    open_minutes = checked(open_minutes_of(changed(OVER, candle(START, 4))))
    minute = minutes_of(open_minutes)[START]
    assert open_minutes.record_check(minute, open_minutes.stage_counts(INSTRUMENT, START, 4), NOW + 9_000) == 9_000
    assert open_minutes.record_check(minute, open_minutes.stage_counts(INSTRUMENT, START, 3), NOW + 9_500) == 0


def test_live_producer_has_unacknowledged_trades_and_a_dead_one_has_none():
    open_minutes = open_minutes_of(changed(OVER, rows=[counted(START, 4, 3, "p.0", START)]))
    minute = minutes_of(open_minutes)[START]
    assert open_minutes.has_unacknowledged("bybit", minute)
    open_minutes.apply(changed(OVER, rows=[counted(START + MINUTE_MS, 1, 1, "q.0", START + 31_000)]))
    assert not open_minutes.has_unacknowledged("bybit", minute)
    open_minutes.apply(changed(OVER, rows=[counted(START + MINUTE_MS, 1, 1, "p.1", START + 31_000)]))
    assert open_minutes.has_unacknowledged("bybit", minute)


def test_trades_too_late_for_the_candle_still_count_as_logged():
    open_minutes = open_minutes_of(changed(OVER, candle(START, 4)), changed(OVER, missed={INSTRUMENT: {START: 2}}))
    counts = open_minutes.stage_counts(INSTRUMENT, START, 6)
    assert (counts.logged, counts.distinct, counts.missed, counts.is_indexed) == (6, 4, 2, True)
    open_minutes.apply(changed(OVER, missed={INSTRUMENT: {START: 2}}))
    assert open_minutes.stage_counts(INSTRUMENT, START, 6) == counts


def test_rejects_are_counted_where_they_belong():
    reject = (
        Reject.from_bytes("producer", "no", b'{"s":"BTCUSDT","T":%d}' % START, START, "spot").model_dump_json().encode()
    )
    open_minutes = open_minutes_of(changed(OVER, candle(START, 4), rows=[row(names.TOPIC_REJECTS, reject)]))
    open_minutes.apply(changed(OVER, unreadable=(row(names.TOPIC_TRADES, b'{"market_type":"spot"'),)))
    assert open_minutes.stage_counts(INSTRUMENT, START, 4).rejected == 2


def test_final_minute_is_dropped_and_later_counts_are_late():
    open_minutes = checked(open_minutes_of(changed(OVER, candle(START, 4))))
    assert open_minutes.drop_finalised(NOW + 61_000) == 0
    open_minutes.apply(changed(START + 2 * MINUTE_MS + KEEP_MS))
    assert open_minutes.drop_finalised(NOW + 59_000) == 0, "its counts moved a watermarks ago"
    assert open_minutes.drop_finalised(NOW + 61_000) == 1
    open_minutes.apply(changed(START + 2 * MINUTE_MS + KEEP_MS, rows=[counted(START, 4, 4)]))
    assert (list(open_minutes.items()), open_minutes.late_counts) == ([], 1)


def test_gap_in_a_dropped_minute_reopens_it_until_it_is_written():
    late = START + 3 * MINUTE_MS + KEEP_MS
    open_minutes = open_minutes_of(changed(late, rows=[gap_row(START + 1, START + MINUTE_MS + 1)]))
    assert open_minutes.reopened() == [(INSTRUMENT, START), (INSTRUMENT, START + MINUTE_MS)]
    assert OpenMinutes(KEEP_MS, open_minutes.snapshot()).reopened() == open_minutes.reopened()
    assert open_minutes.gaps.count(INSTRUMENT, START) == 1
    open_minutes.drop_finalised(NOW)
    assert open_minutes.reopened() == []

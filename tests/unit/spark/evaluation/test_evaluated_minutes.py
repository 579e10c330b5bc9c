"""Minutes in evaluation: which scores depend on what, and what is counted, read and dropped when."""

from dataclasses import replace

from tapeline import names
from tapeline_spark.candles.listener import LogClock
from tapeline_spark.evaluation.evaluated_minutes import RECOUNT_MS, EvaluatedMinutes
from tapeline_spark.evaluation.scores import MinuteBoundary
from tapeline_spark.minutes.minute_trades import GRACE_MS

from unit.spark.change_factories import INSTRUMENT, MINUTE_MS, START, candle, changed, counted, gap_row, row

KEEP_MS = 35 * MINUTE_MS
OVER = START + MINUTE_MS + GRACE_MS
FINAL = START + 2 * MINUTE_MS + KEEP_MS
NOW = 1_000_000


def minutes_after(*changes):
    minutes = EvaluatedMinutes(KEEP_MS)
    for one in changes:
        minutes.apply(one)
    return minutes


def starts(found):
    return [minute_ms for (_, minute_ms), _ in found]


def count(minutes, indexed, now_ms=NOW, is_behind=False, minute_ms=START):
    minutes.minutes_of(INSTRUMENT)[minute_ms].record_count(indexed, is_behind, now_ms)


def test_saved_state_is_the_same_and_unreadable_ones_begin_anew():
    minutes = minutes_after(changed(OVER, candle(START, 4), rows=[gap_row(START, START + 9)]))
    minutes.minutes_of(INSTRUMENT)[START].boundary = MinuteBoundary(1, 2, 3.0, 4.0, None, True)
    count(minutes, 3)
    again = EvaluatedMinutes(KEEP_MS, minutes.snapshot())
    assert again.snapshot() == minutes.snapshot()
    assert again.minutes_of(INSTRUMENT) == minutes.minutes_of(INSTRUMENT)
    assert again.gaps.count(INSTRUMENT, START) == 1
    assert list(EvaluatedMinutes(KEEP_MS, b"\xc1 what").items()) == []


def test_minutes_without_trades_are_not_held():
    minutes = minutes_after(changed(OVER, candle(START, 0), rows=[counted(START, 4, 4)]))
    assert list(minutes.items()) == []


def test_a_minute_is_counted_once_it_is_over_and_again_until_its_documents_are_all_there():
    minutes = minutes_after(changed(OVER - 1, candle(START, 4)))
    assert starts(minutes.to_count((), NOW)) == []
    minutes.apply(changed(OVER))
    assert starts(minutes.to_count((), NOW)) == [START]
    count(minutes, 3)
    assert starts(minutes.to_count((), NOW + RECOUNT_MS - 1)) == starts(minutes.to_read(())) == []
    assert starts(minutes.to_count((), NOW + RECOUNT_MS)) == [START]
    count(minutes, 4, NOW + RECOUNT_MS)
    assert (starts(minutes.to_count((), NOW + 2 * RECOUNT_MS)), starts(minutes.to_read(()))) == ([], [START])


def test_a_minute_whose_trades_changed_is_counted_at_once():
    minutes = minutes_after(changed(OVER, candle(START, 4)))
    count(minutes, 4)
    minutes.apply(changed(OVER, missed={INSTRUMENT: {START: 2}}))
    assert (starts(minutes.to_count((), NOW)), starts(minutes.to_read(()))) == ([START], [])
    for indexed, is_ready in ((3, False), (4, True), (6, True), (7, False)):
        count(minutes, indexed)
        assert starts(minutes.to_read(())) == [START] * is_ready, "a trade that is too late may be a duplicate"


def test_a_minute_of_late_trades_alone_is_read_once_there_is_a_document():
    """Each of them may be a duplicate of a trade that the log no longer knows, so that no document is too few."""
    minutes = minutes_after(changed(OVER, missed={INSTRUMENT: {START: 2}}))
    count(minutes, 0)
    assert starts(minutes.to_read(())) == []
    assert starts(minutes.to_count((), NOW + RECOUNT_MS)) == [START]
    count(minutes, 1)
    assert starts(minutes.to_read(())) == [START]


def test_minutes_are_counted_in_turn_so_that_none_waits_for_others_that_are_never_indexed():
    candles = [candle(START + n * MINUTE_MS, 1) for n in range(4)]
    minutes = minutes_after(changed(OVER + 4 * MINUTE_MS, *candles))
    count(minutes, 0, NOW - 2 * RECOUNT_MS, minute_ms=START)
    count(minutes, 0, NOW - 3 * RECOUNT_MS, minute_ms=START + MINUTE_MS)
    assert [(at - START) // MINUTE_MS for at in starts(minutes.to_count((), NOW))] == [2, 3, 1, 0]


def test_a_minute_with_scores_at_hand_is_neither_counted_nor_read():
    minutes = minutes_after(changed(OVER, candle(START, 4)))
    count(minutes, 4)
    minutes.minutes_of(INSTRUMENT)[START].boundary = MinuteBoundary(1, 2, 3.0, 4.0, None, True)
    assert starts(minutes.to_read(())) == [START], "the scores were lost"
    assert starts(minutes.to_read({(INSTRUMENT, START)})) == []
    minutes.minutes_of(INSTRUMENT)[START].is_scored = True
    assert starts(minutes.to_read(())) == starts(minutes.to_count((), NOW)) == []


def test_a_final_minute_is_dropped_once_its_counts_are_unchanged():
    minutes = minutes_after(changed(OVER, candle(START, 4)))
    count(minutes, 4)
    assert minutes.drop_final(NOW + 61_000) == [], "late trades may still change it"
    minutes.apply(changed(FINAL))
    assert minutes.drop_final(NOW + 60_000) == []
    assert minutes.drop_final(NOW + 61_000) == [(INSTRUMENT, START)]
    assert list(minutes.items()) == []


def test_a_minute_whose_documents_may_follow_is_not_dropped():
    minutes = minutes_after(changed(FINAL, candle(START, 4)))
    assert minutes.drop_final(NOW) == [], "it was never counted"
    count(minutes, 3, is_behind=True)
    assert minutes.drop_final(NOW + 10 * MINUTE_MS) == []
    count(minutes, 3, NOW + 10 * MINUTE_MS)
    assert minutes.drop_final(NOW + 10 * MINUTE_MS) == [], "the last documents may have come out of order"
    assert minutes.drop_final(NOW + 12 * MINUTE_MS) == [(INSTRUMENT, START)]


def test_a_minute_is_dropped_after_the_minutes_before_it():
    minutes = minutes_after(changed(FINAL + MINUTE_MS, candle(START, 4), candle(START + MINUTE_MS, 4)))
    count(minutes, 3, is_behind=True)
    count(minutes, 4, minute_ms=START + MINUTE_MS)
    assert minutes.drop_final(NOW + 61_000) == []
    count(minutes, 4)
    assert minutes.drop_final(NOW + 61_000) == [(INSTRUMENT, START), (INSTRUMENT, START + MINUTE_MS)]


def test_gaps_are_dropped_with_the_last_minute_that_they_can_touch():
    minutes = minutes_after(changed(OVER, candle(START, 4), rows=[gap_row(START, START + 9)]))
    minutes.apply(changed(FINAL))
    minutes.drop_final(NOW)
    assert minutes.gaps.count(INSTRUMENT, START) == 1
    count(minutes, 4)
    minutes.drop_final(NOW + 61_000)
    assert minutes.gaps.instruments() == []
    assert EvaluatedMinutes(KEEP_MS, minutes.snapshot()).snapshot() == minutes_after(changed(FINAL)).snapshot()


def test_an_unreadable_gap_record_is_left_to_the_reconciler():
    minutes = minutes_after(changed(OVER, candle(START, 4), rows=[row(names.TOPIC_GAPS, b"{")]))
    assert minutes.gaps.instruments() == []


def test_a_minute_is_over_by_the_clock_of_its_own_venue():
    minutes = minutes_after(changed(0, candle(START, 4), clocks={"other": LogClock(OVER, True)}))
    assert minutes.to_count((), NOW) == []


QUIET = -1.0


def scored_minutes(*second_prices):
    """Return minutes that have all been read and scored; None: one price all the minute."""
    candles = [candle(START + n * MINUTE_MS, int(second != QUIET)) for n, second in enumerate(second_prices)]
    minutes = minutes_after(changed(OVER + len(candles) * MINUTE_MS, *candles))
    for n, second in enumerate(second_prices):
        if second != QUIET:
            minute = minutes.minutes_of(INSTRUMENT)[START + n * MINUTE_MS]
            minute.boundary, minute.is_scored = MinuteBoundary(0, 0, 1.0, second or 1.0, second, True), True
    return minutes


def unscored(minutes):
    found = minutes.minutes_of(INSTRUMENT).items()
    return [(minute_ms - START) // MINUTE_MS for minute_ms, minute in found if not minute.is_scored]


def test_late_trade_invalidates_scores_of_earlier_minutes_that_depend_on_it():
    minutes = scored_minutes(2.0, 2.0, None, QUIET, None, 2.0)
    late = replace(candle(START + 4 * MINUTE_MS, 2), late_trades=1)
    minutes.apply(changed(OVER + 6 * MINUTE_MS, late))
    assert unscored(minutes) == [1, 2, 4], "the quiet minute has no scores"
    assert minutes.minutes_of(INSTRUMENT)[START + 4 * MINUTE_MS].boundary is None


def test_late_trade_of_a_quiet_minute_invalidates_scores_across_it():
    minutes = scored_minutes(2.0, 2.0, QUIET, 2.0)
    minutes.apply(changed(OVER + 4 * MINUTE_MS, candle(START + 2 * MINUTE_MS, 1)))
    assert unscored(minutes) == [1, 2]


def test_trades_of_the_running_minute_invalidate_no_scores():
    minutes = scored_minutes(2.0, None)
    for trades in (1, 2):
        minutes.apply(changed(OVER + MINUTE_MS, candle(START + 2 * MINUTE_MS, trades)))
    assert unscored(minutes) == [2]


def test_gap_invalidates_scores_around_it_and_no_others():
    minutes = scored_minutes(2.0, 2.0, 2.0, 2.0)
    minutes.apply(changed(OVER + 4 * MINUTE_MS, rows=[gap_row(START + 2 * MINUTE_MS + 1, START + 2 * MINUTE_MS + 2)]))
    assert unscored(minutes) == [1, 2]


def test_gap_that_begins_with_a_minute_invalidates_the_scores_of_the_minute_before():
    minutes = scored_minutes(2.0, 2.0, 2.0, 2.0)
    next_ms = START + 2 * MINUTE_MS
    minutes.apply(changed(OVER + 4 * MINUTE_MS, rows=[gap_row(next_ms, next_ms)]))
    assert unscored(minutes) == [1, 2]
    assert minutes.minutes_of(INSTRUMENT)[START + MINUTE_MS].boundary is not None, "its own pairs are not separated"


def test_gap_in_a_minute_that_is_not_open_invalidates_the_scores_of_the_minute_before():
    candles = [candle(START, 1), candle(START + 2 * MINUTE_MS, 1)]
    minutes = minutes_after(changed(OVER + 3 * MINUTE_MS, *candles))
    for minute in minutes.minutes_of(INSTRUMENT).values():
        minute.boundary, minute.is_scored = MinuteBoundary(0, 0, 1.0, 2.0, 2.0, True), True
    minutes.apply(changed(OVER + 3 * MINUTE_MS, rows=[gap_row(START + MINUTE_MS + 1, START + MINUTE_MS + 2)]))
    assert unscored(minutes) == [0]

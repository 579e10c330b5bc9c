"""The score evaluator by itself: what it asks of Elasticsearch, what an outage undoes, and what it keeps."""

from unittest.mock import patch

import pytest
from tapeline_spark.candles.listener import LogClock
from tapeline_spark.evaluation import evaluator as module
from tapeline_spark.evaluation.evaluated_minutes import RECOUNT_MS
from tapeline_spark.evaluation.evaluator import ScoreEvaluator
from tapeline_spark.minutes.minute_trades import GRACE_MS

from unit.spark.change_factories import INSTRUMENT, MINUTE_MS, START, PredictedTrade, changed, gap_row
from unit.spark.minute_harness import Harness

MODEL = "sha256:a"
LATE_MINUTES = 30
OVER = START + MINUTE_MS + GRACE_MS
FINAL = START + (LATE_MINUTES + 7) * MINUTE_MS
TICK_MS = 5_000


def predicted(at_ms, price=1.0):
    return PredictedTrade(at_ms, price, True, 0.9, 1, MODEL)


PAIR = [predicted(START), predicted(START + 1, 2.0)]


@pytest.fixture
def harness():
    return Harness(LATE_MINUTES)


def evaluate(harness, later_ms=TICK_MS):
    """Tick the evaluator alone."""
    harness.now_ms += later_ms
    harness.evaluator.tick(harness.now_ms)


def scores_of(harness):
    """Return (predictions, pending) by number of the minute."""
    found = {}
    for one in harness.documents.by_id.values():
        if "model_digest" in one:
            found[(one["@timestamp"] - START) // MINUTE_MS] = one["predictions"], one["pending"]
    return found


def test_a_minute_is_counted_once_and_read_once(harness):
    harness.apply(PAIR, newest_ms=OVER - 1)
    evaluate(harness)
    assert harness.stored.counted == [], "it is not over"
    harness.apply([predicted(OVER, 1.0)])
    for _ in range(5):
        evaluate(harness)
    assert (harness.stored.counted, harness.stored.read) == ([[START]], [START])
    assert scores_of(harness) == {0: (1, 1)}


def test_a_minute_whose_documents_are_not_all_there_is_counted_again_and_then_scored(harness):
    harness.stored.missing = {PAIR[1]}
    harness.apply(PAIR, newest_ms=OVER)
    for _ in range(RECOUNT_MS // TICK_MS):
        evaluate(harness)
    assert len(harness.stored.counted) == 1
    evaluate(harness)
    assert (len(harness.stored.counted), harness.stored.read, scores_of(harness)) == (2, [], {})
    harness.stored.missing = set()
    for _ in range(RECOUNT_MS // TICK_MS):
        evaluate(harness)
    assert (len(harness.stored.counted), harness.stored.read, scores_of(harness)) == (3, [START], {0: (1, 1)})


def test_a_minute_whose_documents_changed_after_the_count_is_not_read_at_every_tick(harness):
    harness.apply(PAIR, newest_ms=OVER)
    harness.stored.missing = {PAIR[1]}
    with patch.object(harness.stored, "indexed_counts", return_value={(INSTRUMENT, START): 2}):
        evaluate(harness)
    for _ in range(2):
        evaluate(harness)
    assert (harness.stored.read, scores_of(harness)) == ([START], {})
    harness.stored.missing = set()
    evaluate(harness)
    assert (harness.stored.read, scores_of(harness)) == ([START, START], {0: (1, 1)})


def test_a_minute_whose_documents_all_vanished_after_the_count_is_counted_again(harness):
    harness.apply(PAIR, newest_ms=OVER)
    harness.stored.missing = set(PAIR)
    with patch.object(harness.stored, "indexed_counts", return_value={(INSTRUMENT, START): 2}):
        evaluate(harness)
    evaluate(harness, RECOUNT_MS)
    assert (harness.stored.read, len(harness.stored.counted), scores_of(harness)) == ([START], 1, {})


def test_an_outage_undoes_a_tick(harness, caplog):
    harness.apply(PAIR, newest_ms=OVER)
    before = harness.evaluator.snapshot()
    harness.documents.is_away = True
    evaluate(harness)
    assert (harness.stored.read, scores_of(harness)) == ([START], {})
    assert harness.evaluator.snapshot() == before
    assert [record.message for record in caplog.records] == ["Elasticsearch unavailable; evaluation deferred"]
    harness.documents.is_away = False
    evaluate(harness)
    assert scores_of(harness) == {0: (1, 1)}
    assert harness.evaluator.snapshot() != before


def test_an_outage_of_evaluation_leaves_reconciliation_alone(harness):
    harness.apply(PAIR, newest_ms=OVER)
    with patch.object(harness.stored, "read_trades", side_effect=module.OutageTooLong("Elasticsearch", 1.0, "gone")):
        harness.tick()
    assert [one.get("indexed") for one in harness.documents.by_id.values()] == [2]


def test_pending_predictions_are_scored_after_a_restart_between_them_and_their_answer(harness):
    harness.apply(PAIR, newest_ms=OVER)
    evaluate(harness)
    saved = harness.save()
    for _ in range(2):
        harness.crash(saved)
        harness.apply([predicted(START + MINUTE_MS, 3.0)], newest_ms=OVER + MINUTE_MS)
        evaluate(harness)
        assert scores_of(harness) == {0: (2, 0), 1: (0, 1)}
        # The same trade again would be another one.
        harness.stored.trades.pop()
        harness.batches.pop()


def test_an_unreadable_state_begins_anew(harness):
    harness.evaluator.restore(b"\xc1 what")
    assert harness.evaluator.snapshot() == ScoreEvaluator(harness.documents, LATE_MINUTES).snapshot()


def test_a_dropped_minute_leaves_no_memory(harness):
    """One price all the time, so that the predictions of every minute stay pending, and a gap."""
    trades = [predicted(START + n * MINUTE_MS) for n in range(3)]
    harness.apply(trades, [gap_row(START, START)], newest_ms=OVER + 3 * MINUTE_MS)
    evaluate(harness)
    assert scores_of(harness) == {0: (0, 1), 1: (0, 1), 2: (0, 1)}
    assert len(harness.evaluator._scored) == len(harness.evaluator._written) == 2, "one is censored"
    end_ms = FINAL + 3 * MINUTE_MS
    harness.apply([], newest_ms=end_ms)
    evaluate(harness, 61_000)
    assert (harness.evaluator._scored, harness.evaluator._written) == ({}, {})
    fresh = ScoreEvaluator(harness.documents, LATE_MINUTES)
    fresh.after_batch(changed(end_ms, clocks={INSTRUMENT.venue: LogClock(end_ms, True)}))
    assert harness.evaluator.snapshot() == fresh.snapshot()


def test_a_minute_is_kept_until_the_trade_query_has_caught_up_with_the_candle_query(harness):
    harness.stored.missing = set(PAIR)
    harness.apply(PAIR, newest_ms=FINAL)
    for _ in range(20):
        evaluate(harness, RECOUNT_MS)
    assert scores_of(harness) == {}
    harness.stored.missing = set()
    evaluate(harness, RECOUNT_MS)
    assert scores_of(harness) == {0: (1, 1)}


def test_a_minute_whose_documents_never_come_is_dropped(harness):
    harness.stored.missing = {PAIR[1]}
    harness.apply([*PAIR, PredictedTrade(FINAL, 1.0)])
    for _ in range(60_000 // RECOUNT_MS + 2):
        evaluate(harness, RECOUNT_MS)
    assert len(harness.stored.counted) == 60_000 // RECOUNT_MS + 2
    evaluate(harness, RECOUNT_MS)
    assert len(harness.stored.counted) == 60_000 // RECOUNT_MS + 2, "nothing is left to count"


def test_a_tick_counts_and_reads_a_bounded_number_of_minutes(harness):
    many = module._MAX_MINUTES + 5
    harness.apply([predicted(START + n * MINUTE_MS, 1.0 + n) for n in range(many)], newest_ms=OVER + many * MINUTE_MS)
    evaluate(harness)
    oldest = [START + n * MINUTE_MS for n in range(module._MAX_MINUTES)]
    assert (harness.stored.counted, harness.stored.read) == ([oldest], oldest)
    evaluate(harness)
    assert (len(harness.stored.counted[1]), len(harness.stored.read)) == (5, many)
    assert len(scores_of(harness)) == many


def test_a_tick_reads_a_bounded_number_of_documents(harness, monkeypatch):
    monkeypatch.setattr(module, "_MAX_DOCUMENTS", 2)
    harness.apply([predicted(START + n * MINUTE_MS, 1.0 + n) for n in range(5)], newest_ms=OVER + 5 * MINUTE_MS)
    read = []
    for _ in range(3):
        evaluate(harness)
        read.append(len(harness.stored.read))
    assert (read, len(harness.stored.counted)) == ([2, 4, 5], 1)

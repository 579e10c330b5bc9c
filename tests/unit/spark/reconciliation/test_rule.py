"""The reconciliation rule of a minute."""

from dataclasses import replace

import pytest
from tapeline.instrument import instrument_of
from tapeline.records import reconciliation as contract
from tapeline_spark.minutes.minute_trades import GRACE_MS
from tapeline_spark.reconciliation.rule import (
    STABLE_MS,
    StageCounts,
    Watermarks,
    document,
    reconcile_minute,
    reopened_document,
)

INSTRUMENT = instrument_of("bybit", "spot", "BTCUSDT")
MINUTE = 1_790_000_040_000
END = MINUTE + 60_000
MATCHING = StageCounts(received=5, produced=5, logged=5, distinct=5, indexed=5)
LATER = Watermarks(END + GRACE_MS, END + 1, STABLE_MS, True, False)


def test_minute_is_open_until_its_grace_is_over():
    assert reconcile_minute(MINUTE, MATCHING, replace(LATER, log_ms=END + GRACE_MS - 1)) == "open"
    assert reconcile_minute(MINUTE, MATCHING, LATER) == "complete"


def test_quiet_minute_is_complete():
    assert reconcile_minute(MINUTE, StageCounts(), LATER) == "complete"


def test_killed_producer_may_report_less_and_duplicates_in_the_log_are_no_fault():
    assert reconcile_minute(MINUTE, replace(MATCHING, received=3, produced=3), LATER) == "complete"
    assert reconcile_minute(MINUTE, replace(MATCHING, produced=7, logged=7), LATER) == "complete"


def test_gap_of_the_feed_makes_a_matching_minute_a_gap():
    assert reconcile_minute(MINUTE, replace(MATCHING, gaps=1), LATER) == "gap"
    assert reconcile_minute(MINUTE, replace(MATCHING, gaps=1, indexed=4), LATER) == "incomplete"


@pytest.mark.parametrize(
    "counts",
    [
        replace(MATCHING, indexed=4),
        replace(MATCHING, indexed=6),
        replace(MATCHING, produced=6),
        replace(MATCHING, logged=0, distinct=0, indexed=0),
    ],
)
def test_counts_that_do_not_match_are_open_until_stable_and_then_incomplete(counts):
    assert reconcile_minute(MINUTE, counts, replace(LATER, unchanged_ms=STABLE_MS - 1)) == "open"
    assert reconcile_minute(MINUTE, counts, LATER) == "incomplete"


def test_nothing_is_called_incomplete_while_elasticsearch_or_the_log_is_behind():
    behind = replace(MATCHING, indexed=2)
    assert reconcile_minute(MINUTE, behind, replace(LATER, indexed_ms=END - 1)) == "open"
    assert reconcile_minute(MINUTE, behind, replace(LATER, is_caught_up=False)) == "open"


def test_trades_that_came_too_late_for_their_candle_may_be_copies_or_not():
    for indexed, state in ((4, "incomplete"), (5, "complete"), (7, "complete"), (8, "incomplete")):
        assert reconcile_minute(MINUTE, replace(MATCHING, missed=2, logged=7, indexed=indexed), LATER) == state


def test_reject_makes_a_minute_incomplete_at_once():
    assert reconcile_minute(MINUTE, replace(MATCHING, rejected=1), replace(LATER, unchanged_ms=0)) == "incomplete"


def test_unacknowledged_trades_of_a_live_producer_keep_a_minute_open():
    assert reconcile_minute(MINUTE, MATCHING, replace(LATER, has_unacknowledged=True, unchanged_ms=0)) == "open"
    assert reconcile_minute(MINUTE, MATCHING, replace(LATER, has_unacknowledged=True)) == "incomplete"
    # What it had to drop, it reported.
    assert reconcile_minute(MINUTE, replace(MATCHING, gaps=1), replace(LATER, has_unacknowledged=True)) == "gap"


def test_document_has_the_fields_of_the_mapping():
    body = document(INSTRUMENT, MINUTE, MATCHING, "complete")
    assert {*body, "updated_at"} == set(contract.MAPPING["properties"])
    assert (body["@timestamp"], body["symbol"], body["indexed"], body["state"]) == (MINUTE, "BTCUSDT", 5, "complete")


def test_gap_that_is_known_late_changes_the_stored_document_and_nothing_else():
    stored = {**document(INSTRUMENT, MINUTE, MATCHING, "complete"), "updated_at": 1}
    assert reopened_document(INSTRUMENT, MINUTE, stored, 1) == {**stored, "gaps": 1, "state": "gap"}
    again = reopened_document(INSTRUMENT, MINUTE, stored, 1)
    assert reopened_document(INSTRUMENT, MINUTE, again, 1) == again
    assert reopened_document(INSTRUMENT, MINUTE, {**stored, "state": "incomplete"}, 1)["state"] == "incomplete"
    assert reopened_document(INSTRUMENT, MINUTE, None, 2)["gaps"] == 2

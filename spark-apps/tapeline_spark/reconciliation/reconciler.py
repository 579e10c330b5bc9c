"""Reconciles every instrument and minute, as a candle listener.

The changes of a batch update the open minutes. Elasticsearch is queried at ticks, between batches, and no result of a
query is needed after a crash: the open minutes come back from the snapshot and the log, and are checked again. The rule
is in rule.py, the state in open_minutes.py, the queries in queries.py.

The reconciler shares no state with the score evaluator, and neither reads what the other writes: the order in which
they are called makes no difference.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

import orjson
from tapeline import names
from tapeline.enums import ReconciliationState
from tapeline.instrument import Instrument
from tapeline.records import reconciliation

from tapeline_spark import metrics
from tapeline_spark.candles.listener import Changes
from tapeline_spark.elastic.documents import Operation
from tapeline_spark.elastic.sink import ElasticSink
from tapeline_spark.errors import OutageTooLong
from tapeline_spark.minutes.minute_trades import retention_ms
from tapeline_spark.reconciliation.minute import MinuteState
from tapeline_spark.reconciliation.open_minutes import OpenMinutes
from tapeline_spark.reconciliation.queries import ReconciliationQueries
from tapeline_spark.reconciliation.rule import (
    StageCounts,
    Watermarks,
    document,
    reconcile_minute,
    reopened_document,
)

log = logging.getLogger(__name__)

_SKIPPED: Final = "skipped"
"""The log begins inside this minute: its stored document is not overwritten."""


class Reconciler:
    """The candle listener."""

    name = "reconciliation"

    def __init__(self, sink: ElasticSink, late_minutes: int, recount_s: float) -> None:
        """Start empty; see `restore`.

        Args:
            sink: of Elasticsearch; its retry time bounds a tick while Elasticsearch is unavailable.
            late_minutes: how long after its end late trades may change a minute.
            recount_s: seconds between two counts of the documents of a reconciled minute.
        """
        self._sink = sink
        self._queries = ReconciliationQueries(sink)
        self._keep_ms = retention_ms(late_minutes)
        self._recount_ms = int(recount_s * 1000)
        self.restore(None)

    def restore(self, state: bytes | None) -> None:
        """Load a state of `snapshot`, or start empty."""
        self._open_minutes = OpenMinutes(self._keep_ms, state)
        self._written: dict[tuple[Instrument, int], tuple[StageCounts, str]] = {}

    def snapshot(self) -> bytes:
        """Return the open minutes."""
        return self._open_minutes.snapshot()

    def after_batch(self, changes: Changes) -> None:
        """Update the open minutes."""
        self._open_minutes.apply(changes)

    def tick(self, now_ms: int) -> None:
        """Check the minutes that are due, write what changed, and drop final minutes.

        While Elasticsearch is unavailable this retries briefly, then undoes the tick; the next tick does its work.

        Args:
            now_ms: local clock, ms UTC.

        Raises:
            WriteRefused: Elasticsearch refuses permanently.
        """
        before = self._open_minutes.snapshot()
        try:
            self._reconcile(now_ms)
        except OutageTooLong as error:
            log.warning("Elasticsearch unavailable; reconciliation deferred", extra={"reason": str(error)})
            self.restore(before)
        self._set_metrics()

    def _reconcile(self, now_ms: int) -> None:
        open_minutes = self._open_minutes
        due = open_minutes.due(now_ms, self._recount_ms)
        operations = [*self._check_minutes(due, now_ms), *self._reopen(now_ms)]
        self._sink.write(operations, lambda: now_ms)
        dropped = open_minutes.drop_finalised(now_ms)
        if dropped:
            known = {(instrument, minute_ms) for instrument, minute_ms, _ in open_minutes.items()}
            self._written = {place: written for place, written in self._written.items() if place in known}

    def _check_minutes(self, due: list[tuple[Instrument, int, MinuteState]], now_ms: int) -> Iterator[Operation]:
        if not due:
            return
        open_minutes = self._open_minutes
        minutes_by_venue: dict[str, set[int]] = defaultdict(set)
        for instrument, minute_ms, _ in due:
            minutes_by_venue[instrument.venue].add(minute_ms)
        # Queried first, so that the counts below cover every document up to this time.
        indexed_ms = {
            venue: self._queries.newest_indexed_ms(venue, open_minutes.clock_of(venue).newest_ms)
            for venue in minutes_by_venue
        }
        indexed_counts: dict[tuple[Instrument, int], int] = {}
        for venue, minutes in minutes_by_venue.items():
            indexed_counts |= self._queries.indexed_counts(venue, minutes)
        for instrument, minute_ms, minute in due:
            counts = open_minutes.stage_counts(instrument, minute_ms, indexed_counts.get((instrument, minute_ms), 0))
            unchanged_ms = open_minutes.record_check(minute, counts, now_ms)
            if minute.is_first and counts.indexed > counts.distinct + counts.missed:
                minute.state = _SKIPPED
                continue
            clock = open_minutes.clock_of(instrument.venue)
            watermarks = Watermarks(
                clock.newest_ms,
                indexed_ms[instrument.venue],
                unchanged_ms,
                clock.is_caught_up,
                open_minutes.has_unacknowledged(instrument.venue, minute),
            )
            minute.state = reconcile_minute(minute_ms, counts, watermarks)
            if self._written.get((instrument, minute_ms)) != (counts, minute.state):
                self._written[instrument, minute_ms] = counts, minute.state
                yield _operation(instrument, minute_ms, document(instrument, minute_ms, counts, minute.state), now_ms)

    def _reopen(self, now_ms: int) -> Iterator[Operation]:
        """Yield the documents of minutes that were dropped before a gap in them was known."""
        reopened = self._open_minutes.reopened()
        stored = self._queries.stored_documents(reopened)
        for instrument, minute_ms in reopened:
            found = stored.get((instrument, minute_ms))
            body = reopened_document(instrument, minute_ms, found, self._open_minutes.gaps.count(instrument, minute_ms))
            if body != found:
                yield _operation(instrument, minute_ms, body, now_ms)

    def _set_metrics(self) -> None:
        counts = dict.fromkeys((*ReconciliationState, _SKIPPED), 0)
        for _, _, minute in self._open_minutes.items():
            if minute.state:
                counts[minute.state] += 1
        for state, number in counts.items():
            metrics.RECONCILIATION_MINUTES.labels(state).set(number)
        metrics.LATE_COUNTS.inc(self._open_minutes.late_counts)
        self._open_minutes.late_counts = 0


def _operation(instrument: Instrument, minute_ms: int, body: dict[str, Any], now_ms: int) -> Operation:
    index = names.monthly_index(names.INDEX_RECONCILIATION_PREFIX, minute_ms)
    identity = reconciliation.identity(instrument, minute_ms)
    return Operation(index, identity, orjson.dumps({**body, "updated_at": now_ms}), kind="index")

"""Evaluates past predictions, as a candle listener: counts and reads the documents of each minute, writes its scores.

A minute is read when it is over and Elasticsearch holds all of its documents. A count finds that out: one query a venue
for the minutes that are due, much cheaper than reading. Its last predictions stay pending until a later minute, so the
newest scores are kept here. Lost scores are computed again from the documents.

Every tick is bounded: at most _MAX_MINUTES are counted, seven in one query, and at most _MAX_MINUTES and _MAX_DOCUMENTS
are read; the rest waits for the next tick. A minute whose documents are not all there is counted again
every evaluated_minutes.RECOUNT_MS, and read once they are. Memory: scores with pending predictions of the minutes in
evaluated_minutes.py, which drops them.

The evaluator shares no state with the reconciler, and neither reads what the other writes: the order in which they are
called makes no difference.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

import orjson
from tapeline import names
from tapeline.instrument import Instrument, instrument_of
from tapeline.records import candle, score

from tapeline_spark.candles.listener import Changes
from tapeline_spark.elastic.documents import Operation
from tapeline_spark.elastic.sink import ElasticSink
from tapeline_spark.errors import OutageTooLong
from tapeline_spark.evaluation.evaluated_minutes import EvaluatedMinutes, Minute
from tapeline_spark.evaluation.minute import MinuteEvaluation
from tapeline_spark.evaluation.queries import EvaluationQueries
from tapeline_spark.evaluation.scores import (
    MinuteBoundary,
    MinuteScores,
    document,
    next_move,
    score_minute,
)
from tapeline_spark.minutes.minute_trades import are_all_indexed, retention_ms

log = logging.getLogger(__name__)

NO_PRIOR: Final = 0.5
"""Prior of a model without a training record."""
_MAX_MINUTES: Final = 70
"""Most minutes to count in one tick, over all venues, and most minutes to read."""
_MAX_DOCUMENTS: Final = 60_000
"""Most documents to read in one tick; the candle query waits meanwhile."""


class ScoreEvaluator:
    """The candle listener."""

    name = "evaluation"

    def __init__(self, sink: ElasticSink, late_minutes: int) -> None:
        """Start empty; see `restore`.

        Args:
            sink: of Elasticsearch; its retry time bounds a tick while Elasticsearch is unavailable.
            late_minutes: how long after its end late trades may change a minute.
        """
        self._sink, self._queries = sink, EvaluationQueries(sink)
        self._keep_ms = retention_ms(late_minutes)
        self.restore(None)

    def restore(self, state: bytes | None) -> None:
        """Load a state of `snapshot`, or start empty."""
        self._minutes = EvaluatedMinutes(self._keep_ms, state)
        self._scored: dict[Minute, MinuteScores] = {}
        self._written: dict[str, dict[str, Any]] = {}

    def snapshot(self) -> bytes:
        """Return the minutes in evaluation."""
        return self._minutes.snapshot()

    def after_batch(self, changes: Changes) -> None:
        """Update the minutes in evaluation."""
        self._minutes.apply(changes)

    def tick(self, now_ms: int) -> None:
        """Count and read the minutes that are due, write the scores that changed, and drop final minutes.

        While Elasticsearch is unavailable this retries briefly, then undoes the tick; the next tick does its work.

        Args:
            now_ms: local clock, ms UTC.

        Raises:
            WriteRefused: Elasticsearch refuses permanently.
        """
        before = self._minutes.snapshot()
        try:
            self._evaluate(now_ms)
        except OutageTooLong as error:
            log.warning("Elasticsearch unavailable; evaluation deferred", extra={"reason": str(error)})
            self.restore(before)

    def _evaluate(self, now_ms: int) -> None:
        self._count_documents(now_ms)
        touched = self._read_minutes(now_ms)
        digests = {digest for place, one in self._scored.items() if place[0] in touched for digest in one.models}
        priors = self._queries.priors(digests) if digests else {}
        operations = [
            operation
            for instrument in sorted(touched)
            for operation in self._score_operations(instrument, priors, now_ms)
        ]
        self._sink.write(operations, lambda: now_ms)
        for place in self._minutes.drop_final(now_ms):
            self._discard(place)

    def _count_documents(self, now_ms: int) -> None:
        by_venue: dict[str, dict[Minute, MinuteEvaluation]] = defaultdict(dict)
        counted: set[tuple[str, int]] = set()
        for (instrument, minute_ms), minute in self._minutes.to_count(self._scored, now_ms):
            # One count covers every instrument of a venue.
            if (instrument.venue, minute_ms) in counted or len(counted) < _MAX_MINUTES:
                counted.add((instrument.venue, minute_ms))
                by_venue[instrument.venue][instrument, minute_ms] = minute
        for venue, minutes in by_venue.items():
            starts = {minute_ms for _, minute_ms in minutes}
            # Queried first, so that the counts cover every document up to this time.
            indexed_ms = self._indexed_until_ms(venue, min(starts))
            counts = self._queries.indexed_counts(venue, starts)
            for place, minute in minutes.items():
                is_behind = indexed_ms < place[1] + candle.MINUTE_MS
                minute.record_count(counts.get(place, 0), is_behind, now_ms)

    def _indexed_until_ms(self, venue: str, oldest_ms: int) -> int:
        """Return up to which time Elasticsearch holds the trades of a venue, ms UTC.

        It is 0 while it does not matter: no minute can be dropped before late trades can no longer change it, or before
        the log was read to its end.
        """
        clock = self._minutes.clock_of(venue)
        if self._minutes.is_changeable(venue, oldest_ms) or not clock.is_caught_up:
            return 0
        return self._queries.newest_indexed_ms(venue, clock.newest_ms)

    def _read_minutes(self, now_ms: int) -> set[Instrument]:
        """Read minutes that are ready, oldest first; return the instruments with new scores."""
        by_minute: dict[int, dict[Instrument, MinuteEvaluation]] = defaultdict(dict)
        left = _MAX_DOCUMENTS
        for (instrument, minute_ms), minute in self._minutes.to_read(self._scored):
            if left <= 0 or (minute_ms not in by_minute and len(by_minute) >= _MAX_MINUTES):
                break
            left -= minute.trades
            by_minute[minute_ms][instrument] = minute
        touched = set()
        for minute_ms, minutes in by_minute.items():
            found = self._queries.read_trades(minute_ms, minutes.keys())
            for instrument, minute in minutes.items():
                rows = found.get(instrument)
                number = len(rows.price) if rows else 0
                if rows and are_all_indexed(minute.distinct, minute.missed, number):
                    gaps = self._minutes.gaps.of_instrument(instrument)
                    scored = self._scored[instrument, minute_ms] = score_minute(rows, gaps)
                    minute.boundary = scored.boundary
                    touched.add(instrument)
                else:
                    # The documents changed since they were counted.
                    minute.record_count(number, True, now_ms)
        return touched

    def _score_operations(self, instrument: Instrument, priors: dict[str, float], now_ms: int) -> Iterator[Operation]:
        """Yield the documents of an instrument's scored minutes, with the next moves known so far."""
        minutes = self._minutes.minutes_of(instrument)
        gaps = self._minutes.gaps.of_instrument(instrument)
        for minute_ms, minute in minutes.items():
            scored = self._scored.get((instrument, minute_ms))
            if scored is None or minute.boundary is None:
                continue
            move = next_move(scored.boundary, _boundaries_after(minutes, minute_ms), gaps)
            for digest, score_sums in scored.models.items():
                prior = priors.get(digest, NO_PRIOR)
                yield from self._changed(document(instrument, minute_ms, digest, score_sums, move, prior), now_ms)
            is_done = move.up is not None or move.is_censored
            if is_done or not any(score_sums.pending for score_sums in scored.models.values()):
                minute.is_scored = True
                self._discard((instrument, minute_ms))

    def _changed(self, body: dict[str, Any], now_ms: int) -> Iterator[Operation]:
        instrument = instrument_of(body["venue"], body["market_type"], body["symbol"])
        identity = score.identity(instrument, body["@timestamp"], body["model_digest"])
        if self._written.get(identity) != body:
            self._written[identity] = body
            index = names.monthly_index(names.INDEX_SCORES_PREFIX, body["@timestamp"])
            yield Operation(index, identity, orjson.dumps({**body, "updated_at": now_ms}), kind="index")

    def _discard(self, place: Minute) -> None:
        """Discard the scores of a minute, if there are any."""
        scored = self._scored.pop(place, None)
        for digest in scored.models if scored else ():
            self._written.pop(score.identity(*place, digest), None)


def _boundaries_after(minutes: dict[int, MinuteEvaluation], minute_ms: int) -> Iterator[MinuteBoundary]:
    """Yield the boundaries of the later minutes with trades, up to the first one that has not been read."""
    for later_ms, later in minutes.items():
        if later_ms > minute_ms and later.trades:
            if later.boundary is None:
                return
            yield later.boundary

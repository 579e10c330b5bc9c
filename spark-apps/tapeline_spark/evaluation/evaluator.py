"""Selects the minutes whose predictions can be scored, reads their documents and writes their scores.

A minute is read when it is over and Elasticsearch holds all of it. Its last predictions stay pending until a later
minute, so the newest scores are kept here. Lost scores are computed again from the documents.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

import orjson
from tapeline import names
from tapeline.instrument import Instrument, instrument_of
from tapeline.records import score

from tapeline_spark.elastic.documents import Operation
from tapeline_spark.evaluation.scores import (
    MinuteBoundary,
    MinuteScores,
    document,
    next_move,
    score_minute,
)
from tapeline_spark.minutes.minute_trades import is_over
from tapeline_spark.reconciliation.minute import MinuteState
from tapeline_spark.reconciliation.open_minutes import OpenMinutes
from tapeline_spark.reconciliation.queries import Queries

NO_PRIOR: Final = 0.5
"""Prior of a model without a training record."""
_MAX_DOCUMENTS: Final = 60_000
"""Most documents to read in one tick; the candle query waits meanwhile."""


class ScoreEvaluator:
    """Scores the predictions of the open minutes."""

    def __init__(self, open_minutes: OpenMinutes, queries: Queries) -> None:
        """Start without scores."""
        self._open_minutes, self._queries = open_minutes, queries
        self._scored: dict[tuple[Instrument, int], MinuteScores] = {}
        self._written: dict[str, dict[str, Any]] = {}

    def operations(self, now_ms: int) -> list[Operation]:
        """Read the minutes that are ready, and return the score documents that changed.

        Args:
            now_ms: local clock, ms UTC.

        Raises:
            StreamError: Elasticsearch does not respond, or refuses.
        """
        touched = self._read()
        digests = {digest for place, one in self._scored.items() if place[0] in touched for digest in one.models}
        priors = self._queries.priors(digests) if digests else {}
        return [
            operation
            for instrument in sorted(touched)
            for operation in self._score_operations(instrument, priors, now_ms)
        ]

    def _read(self) -> set[Instrument]:
        """Read minutes that are ready, oldest first; return their symbols."""
        by_minute: dict[int, dict[Instrument, MinuteState]] = defaultdict(dict)
        left = _MAX_DOCUMENTS
        for minute_ms, instrument, minute in self._ready():
            if left <= 0:
                break
            left -= minute.trades
            by_minute[minute_ms][instrument] = minute
        touched = set()
        for minute_ms, minutes in by_minute.items():
            found = self._queries.read_trades(minute_ms, minutes.keys())
            for instrument, rows in found.items():
                minute = minutes[instrument]
                # Otherwise the documents changed since they were counted; the next tick retries.
                if minute.distinct <= len(rows.price) <= minute.trades:
                    scored = self._scored[instrument, minute_ms] = score_minute(
                        rows, self._open_minutes.gaps.of_instrument(instrument)
                    )
                    minute.boundary = scored.boundary
                    touched.add(instrument)
        return touched

    def _ready(self) -> list[tuple[int, Instrument, MinuteState]]:
        ready = []
        for instrument, minute_ms, minute in self._open_minutes.items():
            last = minute.last_counts
            if minute.is_scored or not minute.trades or last is None:
                continue
            if not is_over(minute_ms, self._open_minutes.clock_of(instrument.venue).newest_ms):
                continue
            is_counted = (last.distinct, last.missed) == (
                minute.distinct,
                minute.missed,
            ) and last.is_indexed
            has_scores = minute.boundary is not None and (instrument, minute_ms) in self._scored
            if is_counted and not has_scores:
                ready.append((minute_ms, instrument, minute))
        return sorted(ready, key=lambda one: one[:2])

    def _score_operations(self, instrument: Instrument, priors: dict[str, float], now_ms: int) -> Iterator[Operation]:
        """Yield the documents of a symbol's scored minutes, with the next moves known so far."""
        minutes = self._open_minutes.minutes_of(instrument)
        gaps = self._open_minutes.gaps.of_instrument(instrument)
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
                self._discard(instrument, minute_ms, scored)

    def _changed(self, body: dict[str, Any], now_ms: int) -> Iterator[Operation]:
        instrument = instrument_of(body["venue"], body["market_type"], body["symbol"])
        identity = score.identity(instrument, body["@timestamp"], body["model_digest"])
        if self._written.get(identity) != body:
            self._written[identity] = body
            index = names.monthly_index(names.INDEX_SCORES_PREFIX, body["@timestamp"])
            yield Operation(index, identity, orjson.dumps({**body, "updated_at": now_ms}), kind="index")

    def _discard(self, instrument: Instrument, minute_ms: int, scored: MinuteScores) -> None:
        del self._scored[instrument, minute_ms]
        for digest in scored.models:
            self._written.pop(score.identity(instrument, minute_ms, digest), None)

    def drop_finalised(self) -> None:
        """Drop the scores of minutes that are no longer open."""
        known = {(instrument, minute_ms) for instrument, minute_ms, _ in self._open_minutes.items()}
        for place in [place for place in self._scored if place not in known]:
            self._discard(*place, self._scored[place])


def _boundaries_after(minutes: dict[int, MinuteState], minute_ms: int) -> Iterator[MinuteBoundary]:
    """Yield the boundaries of the later minutes with trades, up to the first one that has not been read."""
    for later_ms, later in minutes.items():
        if later_ms > minute_ms and later.trades:
            if later.boundary is None:
                return
            yield later.boundary

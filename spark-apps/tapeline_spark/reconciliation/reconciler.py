"""Keeps the books: completeness and scores of every symbol and minute, as a follower of the candles.

What a batch changed goes into the ledger; the looks at Elasticsearch are taken at ticks, between batches, and nothing
that a look finds is needed after a crash: the ledger comes back from the snapshot and the log, and looks again.
Wiring of ledger.py, reading.py, completeness.py and scoring.py; no thinking here.
"""

import logging
from collections.abc import Iterator
from typing import Any, Final

import orjson
from tapeline import names
from tapeline.enums import ReconciliationState
from tapeline.instrument import instrument_of
from tapeline.records import candle, reconciliation

from tapeline_spark import metrics
from tapeline_spark.candles.listener import Changes, Key
from tapeline_spark.elastic.documents import Operation
from tapeline_spark.elastic.sink import ElasticSink
from tapeline_spark.errors import OutageTooLong
from tapeline_spark.evaluation.evaluator import Scoring
from tapeline_spark.reconciliation.minute import Minute
from tapeline_spark.reconciliation.open_minutes import Ledger
from tapeline_spark.reconciliation.queries import Reader
from tapeline_spark.reconciliation.rule import (
    Hands,
    Moment,
    amended,
    document,
    judge,
)

log = logging.getLogger(__name__)

HOLD_S: Final = 5.0
"""For the sink of these books."""
_AFTER_LATE_MS: Final = 5 * candle.MINUTE_MS
_LEFT_ALONE: Final = "left"
"""The log does not reach back to where the minute began: what stands of it in Elasticsearch is left alone."""


class Books:
    """The follower."""

    name = "books"

    def __init__(self, sink: ElasticSink, late_minutes: int, recount_s: float) -> None:
        """Begin with nothing; see `restore`.

        Args:
            sink: the way into Elasticsearch; how long it holds is how long a tick may take while that is away.
            late_minutes: how long after its end late trades may change a minute.
            recount_s: how often the documents of a minute are counted that seems to be done.
        """
        self._sink = sink
        self._reader = Reader(sink)
        self._keep_ms = late_minutes * candle.MINUTE_MS + _AFTER_LATE_MS
        self._recount_ms = int(recount_s * 1000)
        self.restore(None)

    def restore(self, state: bytes | None) -> None:
        """Take back a state of `save`, or begin with nothing."""
        self._ledger = Ledger(self._keep_ms, state)
        self._scoring = Scoring(self._ledger, self._reader)
        self._written: dict[tuple[Key, int], tuple[Hands, str]] = {}

    def save(self) -> bytes:
        """Return the open books."""
        return self._ledger.save()

    def after_batch(self, changes: Changes) -> None:
        """Take in what a batch changed."""
        self._ledger.apply(changes)

    def tick(self, now_ms: int) -> None:
        """Look at what is due, write what changed, and let go of what is done.

        While Elasticsearch is away this waits a little only, and the tick has not happened: the next one does its work.

        Args:
            now_ms: our clock, ms UTC.

        Raises:
            WriteRefused: it refuses for good.
        """
        before = self._ledger.save()
        try:
            self._work(now_ms)
        except OutageTooLong as error:
            log.warning("the books wait for Elasticsearch", extra={"reason": str(error)})
            self.restore(before)
        self._tell()

    def _work(self, now_ms: int) -> None:
        ledger = self._ledger
        due = ledger.due(now_ms, self._recount_ms)
        operations = [*self._look(due, now_ms), *self._amend(now_ms)]
        operations += self._scoring.operations(now_ms)
        self._sink.write(operations, lambda: now_ms)
        gone = ledger.settle(now_ms)
        if gone:
            self._scoring.settle()
            known = {(key, minute_ms) for key, minute_ms, _ in ledger.each()}
            self._written = {place: what for place, what in self._written.items() if place in known}

    def _look(self, due: list[tuple[Key, int, Minute]], now_ms: int) -> Iterator[Operation]:
        if not due:
            return
        ledger = self._ledger
        # Asked first: what is counted afterwards is not less than what it speaks of.
        indexed_ms = self._reader.newest_ms(ledger.newest_ms)
        counted = self._reader.counted({minute_ms for _, minute_ms, _ in due})
        for key, minute_ms, minute in due:
            hands = ledger.hands(key, minute_ms, counted.get((key, minute_ms), 0))
            still_ms = ledger.look(minute, hands, now_ms)
            if minute.is_first and hands.indexed > hands.distinct + hands.missed:
                minute.state = _LEFT_ALONE
                continue
            moment = Moment(ledger.newest_ms, indexed_ms, still_ms, ledger.is_caught_up, ledger.is_owed(minute))
            minute.state = judge(minute_ms, hands, moment)
            if self._written.get((key, minute_ms)) != (hands, minute.state):
                self._written[key, minute_ms] = hands, minute.state
                yield _operation(key, minute_ms, document(key, minute_ms, hands, minute.state), now_ms)

    def _amend(self, now_ms: int) -> Iterator[Operation]:
        """Yield the documents of minutes that were settled before a hole in them was known."""
        late = self._ledger.amendments()
        stands = self._reader.standing(late)
        for key, minute_ms in late:
            found = stands.get((key, minute_ms))
            body = amended(key, minute_ms, found, self._ledger.gaps(key, minute_ms))
            if body != found:
                yield _operation(key, minute_ms, body, now_ms)

    def _tell(self) -> None:
        counts = dict.fromkeys((*ReconciliationState, _LEFT_ALONE), 0)
        for _, _, minute in self._ledger.each():
            if minute.state:
                counts[minute.state] += 1
        for state, number in counts.items():
            metrics.BOOKS.labels(state).set(number)
        metrics.STRAYS.inc(self._ledger.strays)
        self._ledger.strays = 0


def _operation(key: Key, minute_ms: int, body: dict[str, Any], now_ms: int) -> Operation:
    index = names.monthly_index(names.INDEX_RECONCILIATION_PREFIX, minute_ms)
    identity = reconciliation.identity(instrument_of(names.VENUE, *key), minute_ms)
    return Operation(index, identity, orjson.dumps({**body, "updated_at": now_ms}), kind="index")

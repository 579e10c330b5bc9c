"""Which minutes' documents are to be read for their scores, and what becomes of them: reads, then writes scores.

A minute is read when it is over and Elasticsearch has all of it. What its last prices wait for comes with a later
minute; that is why the newest readings are kept here. Lost, they are made again from the documents.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

import orjson
from tapeline import names
from tapeline.instrument import instrument_of
from tapeline.records import score

from tapeline_spark.candles.listener import Key
from tapeline_spark.elastic.documents import Operation
from tapeline_spark.evaluation.scores import (
    Head,
    Reading,
    answer,
    document,
    read,
)
from tapeline_spark.reconciliation.minute import Minute
from tapeline_spark.reconciliation.open_minutes import Ledger
from tapeline_spark.reconciliation.queries import Reader
from tapeline_spark.reconciliation.rule import is_over

NO_PRIOR: Final = 0.5
"""Of a model whose training left no verdict."""
_MOST_DOCUMENTS: Final = 60_000
"""Read in one go; the candles wait meanwhile."""


class Scoring:
    """Scores the minutes of a ledger."""

    def __init__(self, ledger: Ledger, reader: Reader) -> None:
        """Start with nothing read."""
        self._ledger, self._reader = ledger, reader
        self._readings: dict[tuple[Key, int], Reading] = {}
        self._written: dict[str, dict[str, Any]] = {}

    def operations(self, now_ms: int) -> list[Operation]:
        """Read what is ready, and return the documents that are not what they were.

        Args:
            now_ms: our clock, ms UTC.

        Raises:
            StreamError: Elasticsearch does not answer, or refuses.
        """
        touched = self._read()
        digests = {digest for place, one in self._readings.items() if place[0] in touched for digest in one.models}
        priors = self._reader.priors(digests) if digests else {}
        return [operation for key in sorted(touched) for operation in self._settle(key, priors, now_ms)]

    def _read(self) -> set[Key]:
        """Read minutes that are ready, the oldest first; return their symbols."""
        by_minute: dict[int, dict[Key, Minute]] = defaultdict(dict)
        left = _MOST_DOCUMENTS
        for minute_ms, key, minute in self._ready():
            if left <= 0:
                break
            left -= minute.trades
            by_minute[minute_ms][key] = minute
        touched = set()
        for minute_ms, minutes in by_minute.items():
            found = self._reader.rows(minute_ms, minutes.keys())
            for key, rows in found.items():
                minute = minutes[key]
                # Otherwise something has come or gone since they were counted: another time.
                if minute.distinct <= len(rows.price) <= minute.trades:
                    reading = self._readings[key, minute_ms] = read(rows, self._ledger.holes(key))
                    minute.head = reading.head
                    touched.add(key)
        return touched

    def _ready(self) -> list[tuple[int, Key, Minute]]:
        newest_ms = self._ledger.newest_ms
        ready = []
        for key, minute_ms, minute in self._ledger.each():
            seen = minute.seen
            if minute.is_scored or not minute.trades or seen is None or not is_over(minute_ms, newest_ms):
                continue
            is_counted = (seen.distinct, seen.missed) == (minute.distinct, minute.missed) and seen.is_indexed
            has_reading = minute.head is not None and (key, minute_ms) in self._readings
            if is_counted and not has_reading:
                ready.append((minute_ms, key, minute))
        return sorted(ready, key=lambda one: one[:2])

    def _settle(self, key: Key, priors: dict[str, float], now_ms: int) -> Iterator[Operation]:
        """Yield the documents of a symbol's readings with all that is known by now."""
        minutes = self._ledger.of(key)
        holes = self._ledger.holes(key)
        for minute_ms, minute in minutes.items():
            reading = self._readings.get((key, minute_ms))
            if reading is None or minute.head is None:
                continue
            followed = answer(reading.head, _heads_after(minutes, minute_ms), holes)
            for digest, told in reading.models.items():
                prior = priors.get(digest, NO_PRIOR)
                yield from self._changed(document(key, minute_ms, digest, told, followed, prior), now_ms)
            is_done = followed.up is not None or followed.is_cut
            if is_done or not any(told.waiting for told in reading.models.values()):
                minute.is_scored = True
                self._forget(key, minute_ms, reading)

    def _changed(self, body: dict[str, Any], now_ms: int) -> Iterator[Operation]:
        instrument = instrument_of(body["venue"], body["market_type"], body["symbol"])
        identity = score.identity(instrument, body["@timestamp"], body["model_digest"])
        if self._written.get(identity) != body:
            self._written[identity] = body
            index = names.monthly_index(names.INDEX_SCORES_PREFIX, body["@timestamp"])
            yield Operation(index, identity, orjson.dumps({**body, "updated_at": now_ms}), kind="index")

    def _forget(self, key: Key, minute_ms: int, reading: Reading) -> None:
        del self._readings[key, minute_ms]
        for digest in reading.models:
            self._written.pop(score.identity(instrument_of(names.VENUE, *key), minute_ms, digest), None)

    def settle(self) -> None:
        """Let go of what the ledger has let go of."""
        known = {(key, minute_ms) for key, minute_ms, _ in self._ledger.each()}
        for place in [place for place in self._readings if place not in known]:
            self._forget(*place, self._readings[place])


def _heads_after(minutes: dict[int, Minute], minute_ms: int) -> Iterator[Head]:
    """Yield what is known of the minutes with trades after one, up to the first that has not been read."""
    for later_ms, later in minutes.items():
        if later_ms > minute_ms and later.trades:
            if later.head is None:
                return
            yield later.head

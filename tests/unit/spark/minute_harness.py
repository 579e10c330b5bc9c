"""The reconciler and the score evaluator over made trades: stored trades and written documents are held in memory."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import orjson
from tapeline.instrument import Instrument
from tapeline_spark.candles.listener import CandleListener, Changes, LogClock, LogRow
from tapeline_spark.elastic.documents import Operation
from tapeline_spark.errors import OutageTooLong
from tapeline_spark.evaluation.evaluator import ScoreEvaluator
from tapeline_spark.evaluation.scores import Rows
from tapeline_spark.reconciliation.reconciler import Reconciler

from unit.spark.change_factories import INSTRUMENT, MINUTE_MS, PredictedTrade, candle, changed, rows

LATE_MINUTES = 240
NOW = 1_000_000


class StoredTrades:
    """Answers the queries of both from a list of trades, which are in total order.

    Attributes:
        trades: of every instrument.
        missing: trades among them that Elasticsearch lacks.
        counted: minutes of each count query.
        read: start of each minute that was read.
    """

    def __init__(self) -> None:
        self.trades: list[tuple[Instrument, PredictedTrade]] = []
        self.missing: set[PredictedTrade] = set()
        self.counted: list[list[int]] = []
        self.read: list[int] = []

    @property
    def indexed(self) -> list[tuple[Instrument, PredictedTrade]]:
        return [(instrument, one) for instrument, one in self.trades if one not in self.missing]

    def newest_indexed_ms(self, venue: str, around_ms: int) -> int:
        return max((one.at_ms for instrument, one in self.indexed if instrument.venue == venue), default=0)

    def indexed_counts(self, venue: str, minutes: Collection[int]) -> dict[tuple[Instrument, int], int]:
        self.counted.append(sorted(minutes))
        found = Counter((instrument, one.at_ms - one.at_ms % MINUTE_MS) for instrument, one in self.indexed)
        return {place: number for place, number in found.items() if place[1] in minutes and place[0].venue == venue}

    def read_trades(self, minute_ms: int, instruments: Collection[Instrument]) -> dict[Instrument, Rows]:
        self.read.append(minute_ms)
        found = {
            instrument: [
                one for other, one in self.indexed if other == instrument and 0 <= one.at_ms - minute_ms < MINUTE_MS
            ]
            for instrument in instruments
        }
        return {instrument: rows(trades) for instrument, trades in found.items() if trades}

    def stored_documents(
        self, minutes: Sequence[tuple[Instrument, int]]
    ) -> dict[tuple[Instrument, int], dict[str, Any]]:
        return {}

    def priors(self, digests: Collection[str]) -> dict[str, float]:
        return {}


class Documents:
    """Sink that keeps the newest document of each id.

    Attributes:
        by_id: the documents.
        is_away: whether writes fail.
    """

    def __init__(self) -> None:
        self.by_id: dict[str, dict[str, Any]] = {}
        self.is_away = False

    def write(self, operations: Iterable[Operation], now_ms: Any) -> None:
        if self.is_away:
            raise OutageTooLong("Elasticsearch", 1.0, "gone")
        self.by_id |= {operation.identity: orjson.loads(operation.source) for operation in operations}


class Harness:
    """Both listeners, with a clock that the test moves."""

    def __init__(self, late_minutes: int = LATE_MINUTES, is_evaluated_first: bool = False) -> None:
        self.stored, self.documents, self.now_ms = StoredTrades(), Documents(), NOW
        self.clocks: dict[str, LogClock] = {}
        self.batches: list[Changes] = []
        self.reconciler = Reconciler(self.documents, late_minutes, recount_s=60)  # type: ignore[arg-type]
        self.reconciler._queries = self.stored  # type: ignore[assignment]
        self.evaluator = ScoreEvaluator(self.documents, late_minutes)  # type: ignore[arg-type]
        self.evaluator._queries = self.stored  # type: ignore[assignment]
        in_order = self.reconciler, self.evaluator
        self.listeners: Sequence[CandleListener] = in_order[::-1] if is_evaluated_first else in_order

    def apply(
        self,
        trades: Sequence[PredictedTrade],
        rows: Sequence[LogRow] = (),
        newest_ms: int = 0,
        instrument: Instrument = INSTRUMENT,
    ) -> None:
        """Store trades of an instrument, and send the listeners their minutes and other records."""
        known_ms = self.clocks.get(instrument.venue, LogClock()).newest_ms
        newest_ms = max([known_ms, newest_ms, *(one.at_ms for one in trades)])
        self.clocks[instrument.venue] = LogClock(newest_ms, True)
        stored = self.stored.trades
        self.stored.trades = sorted([*stored, *((instrument, one) for one in trades)], key=lambda pair: pair[1][:2])
        own = [one.at_ms for other, one in self.stored.trades if other == instrument]
        minutes = Counter(at_ms - at_ms % MINUTE_MS for at_ms in own)
        touched = {one.at_ms - one.at_ms % MINUTE_MS for one in trades}
        candles = [candle(minute_ms, minutes[minute_ms]) for minute_ms in sorted(touched)]
        more = {"rows": rows, "instrument": instrument, "clocks": dict(self.clocks)}
        self.batches.append(changed(newest_ms, *candles, **more))
        for listener in self.listeners:
            listener.after_batch(self.batches[-1])

    def tick(self, later_ms: int = 5_000) -> None:
        self.now_ms += later_ms
        for listener in self.listeners:
            listener.tick(self.now_ms)

    def save(self) -> tuple[int, dict[str, bytes]]:
        """Return a snapshot: the number of batches so far, and the state of each listener."""
        return len(self.batches), {listener.name: listener.snapshot() for listener in self.listeners}

    def crash(self, saved: tuple[int, dict[str, bytes]]) -> None:
        """Restore the listeners from a snapshot, and send them the batches since again."""
        number, states = saved
        for listener in self.listeners:
            listener.restore(states[listener.name])
            for changes in self.batches[number:]:
                listener.after_batch(changes)

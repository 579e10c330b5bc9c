"""A reconciler over made trades: stored trades and written documents are held in memory."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import orjson
from tapeline.instrument import Instrument
from tapeline_spark.candles.listener import LogClock, LogRow
from tapeline_spark.elastic.documents import Operation
from tapeline_spark.evaluation.scores import Rows
from tapeline_spark.reconciliation.reconciler import Reconciler

from unit.spark.change_factories import INSTRUMENT, MINUTE_MS, PredictedTrade, candle, changed, rows

LATE_MINUTES = 240
NOW = 1_000_000


class StoredTrades:
    """Answers the reconciler's queries from a list of trades, which are in total order."""

    def __init__(self) -> None:
        self.trades: list[tuple[Instrument, PredictedTrade]] = []

    def newest_indexed_ms(self, venue: str, around_ms: int) -> int:
        return max((one.at_ms for instrument, one in self.trades if instrument.venue == venue), default=0)

    def indexed_counts(self, venue: str, minutes: Collection[int]) -> dict[tuple[Instrument, int], int]:
        found = Counter((instrument, one.at_ms - one.at_ms % MINUTE_MS) for instrument, one in self.trades)
        return {place: number for place, number in found.items() if place[1] in minutes and place[0].venue == venue}

    def read_trades(self, minute_ms: int, instruments: Collection[Instrument]) -> dict[Instrument, Rows]:
        found = {
            instrument: [
                one for other, one in self.trades if other == instrument and 0 <= one.at_ms - minute_ms < MINUTE_MS
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
    """Sink that keeps the newest document of each id."""

    def __init__(self) -> None:
        self.by_id: dict[str, dict[str, Any]] = {}

    def write(self, operations: Iterable[Operation], now_ms: Any) -> None:
        self.by_id |= {operation.identity: orjson.loads(operation.source) for operation in operations}


class Harness:
    """A reconciler whose clock the test moves."""

    def __init__(self) -> None:
        self.stored, self.documents, self.now_ms = StoredTrades(), Documents(), NOW
        self.clocks: dict[str, LogClock] = {}
        self.reconciler = Reconciler(self.documents, LATE_MINUTES, recount_s=60)  # type: ignore[arg-type]
        self.reconciler._queries = self.stored  # type: ignore[assignment]
        self.reconciler.restore(None)

    def apply(
        self,
        trades: Sequence[PredictedTrade],
        rows: Sequence[LogRow] = (),
        newest_ms: int = 0,
        instrument: Instrument = INSTRUMENT,
    ) -> None:
        """Store trades of an instrument, and send the reconciler their minutes and other records."""
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
        self.reconciler.after_batch(changed(newest_ms, *candles, **more))

    def tick(self) -> None:
        self.now_ms += 5_000
        self.reconciler.tick(self.now_ms)

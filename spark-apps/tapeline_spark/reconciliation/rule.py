"""The reconciliation rule: counts of each stage in, a state and a document out. Pure.

A minute is complete if producers report no more than the log holds (a killed one reports less), every distinct trade of
the log is a document and every document has its record, nothing was rejected, and the feed had no gap.
To change the rule: `reconcile_minute`.
"""

from dataclasses import asdict, dataclass
from typing import Any, Final

from tapeline.enums import ReconciliationState
from tapeline.instrument import Instrument
from tapeline.records import candle

from tapeline_spark.minutes.minute_trades import are_all_indexed, is_over

STABLE_MS: Final = 30_000
"""How long counts that do not match may still be unchanged before a minute is incomplete, by the local clock."""


@dataclass(frozen=True, slots=True)
class StageCounts:
    """Counts of one symbol and minute by stage.

    Attributes:
        received: distinct trades that the producers received from the exchange.
        produced: trades among them that Kafka has acknowledged.
        logged: records in the log.
        distinct: distinct trades among them, without `missed`.
        missed: records too late to be checked for duplicates.
        indexed: documents in Elasticsearch.
        rejected: records that became rejects.
        gaps: gaps of the feed that touch the minute.
    """

    received: int = 0
    produced: int = 0
    logged: int = 0
    distinct: int = 0
    missed: int = 0
    indexed: int = 0
    rejected: int = 0
    gaps: int = 0

    @property
    def is_indexed(self) -> bool:
        """Whether the number of documents matches the number of trades."""
        return are_all_indexed(self.distinct, self.missed, self.indexed)


@dataclass(frozen=True, slots=True)
class Watermarks:
    """How far each stage has progressed when the counts are compared.

    Attributes:
        log_ms: newest trade of the venue in the log, ms UTC.
        indexed_ms: newest trade of the venue in Elasticsearch, ms UTC.
        unchanged_ms: how long no count has changed, by the local clock.
        is_caught_up: the log of the venue was read to its end; before that, one symbol can be hours ahead of another.
        has_unacknowledged: a live producer has received trades that Kafka has not acknowledged.
    """

    log_ms: int
    indexed_ms: int
    unchanged_ms: int
    is_caught_up: bool
    has_unacknowledged: bool


def reconcile_minute(minute_ms: int, counts: StageCounts, watermarks: Watermarks) -> ReconciliationState:
    """Return whether the counts of a minute agree.

    Args:
        minute_ms: start of the minute, ms UTC.
        counts: by stage.
        watermarks: progress of the stages.
    """
    if not is_over(minute_ms, watermarks.log_ms):
        return ReconciliationState.OPEN
    if counts.rejected:
        return ReconciliationState.INCOMPLETE
    # A producer also reports a gap for trades that it dropped.
    has_unacknowledged = watermarks.has_unacknowledged and not counts.gaps
    if counts.produced <= counts.logged and counts.is_indexed and not has_unacknowledged:
        return ReconciliationState.GAP if counts.gaps else ReconciliationState.COMPLETE
    is_behind = not watermarks.is_caught_up or watermarks.indexed_ms < minute_ms + candle.MINUTE_MS
    is_final = not is_behind and watermarks.unchanged_ms >= STABLE_MS
    return ReconciliationState.INCOMPLETE if is_final else ReconciliationState.OPEN


def document(instrument: Instrument, minute_ms: int, counts: StageCounts, state: str) -> dict[str, Any]:
    """Return the document of one symbol and minute, without `updated_at`.

    Args:
        instrument: whose minute.
        minute_ms: start of the minute, ms UTC.
        counts: by stage.
        state: of `reconcile_minute`.
    """
    numbers = {name: value for name, value in asdict(counts).items() if name != "missed"}
    where = {"venue": instrument.venue, "market_type": instrument.market_type, "symbol": instrument.symbol}
    return {"@timestamp": minute_ms, **where, "state": state, **numbers}


def reopened_document(
    instrument: Instrument, minute_ms: int, stored: dict[str, Any] | None, gaps: int
) -> dict[str, Any]:
    """Return the document of a minute that was dropped before a gap in it was known.

    Args:
        instrument: whose minute.
        minute_ms: start of the minute, ms UTC.
        stored: the stored document; None if there is none.
        gaps: known gaps that touch the minute.
    """
    if stored is None:
        return document(instrument, minute_ms, StageCounts(gaps=gaps), ReconciliationState.GAP)
    is_incomplete = stored["state"] == ReconciliationState.INCOMPLETE
    state = ReconciliationState.INCOMPLETE if is_incomplete else ReconciliationState.GAP
    return {**stored, "gaps": max(int(stored["gaps"]), gaps), "state": state}

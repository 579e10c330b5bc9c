"""Defines what a batch of the candle query changed, and the protocol of the listeners that are built on candles.

A batch runs as follows: records enter the state (state.py), changed minutes become candles (build.py), their documents
go to Elasticsearch, then `CandleListener.after_batch(changes)` runs for each listener in turn, then Spark commits.

* What a listener receives is already stored in Elasticsearch (searchable after the next refresh).
* A listener that raises a StreamError stops the query; after the restart the batch comes again with the same changes.
* After a crash the records since the last snapshot come again, in batches of another size. A listener gets back the
  state of that snapshot and then all changes since. So its documents need ids that depend only on their subject
  (overwritten, or 409), and its results must not depend on batch boundaries.
* A batch reports each changed candle once, as of its end. A minute is reported again whenever it changes: new trades,
  a later minute began (`is_closed`), a late trade in this minute or in an earlier one.
* A listener may keep no state outside its snapshot. Without a snapshot the log comes from its start, or from as far
  back as candles need, and `restore` gets None.

Pure: no socket, no clock. To add a listener: implement `CandleListener` and add it in `__main__._listeners`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from tapeline.instrument import Instrument


class LogRow(NamedTuple):
    """One record of a Kafka topic."""

    topic: str
    partition: int
    offset: int
    key: str | None
    """The symbol, for trades, rejects of trades and counts."""
    value: bytes | None
    timestamp_ms: int
    """Record timestamp of Kafka."""


@dataclass(frozen=True, slots=True)
class Candle:
    """One minute of one symbol, with the numbers of its document (defined in tapeline.records.candle)."""

    minute_ms: int
    """Start of the minute, ms UTC."""
    open: float
    high: float
    low: float
    close: float
    vwap: float
    """Quote per base. In a quiet minute all five are the last close."""
    volume: float
    notional: float
    buy_volume: float
    """Base, quote, base."""
    trades: int
    """Number of distinct trades."""
    late_trades: int
    """Of `trades`, those behind a later trade of their symbol."""
    missed_trades: int
    """Not in `trades`: too late for the candle, see STREAM_LATE_MINUTES."""
    logged: int
    """Records of this minute in the log, including duplicates and missed ones."""
    is_quiet: bool
    is_closed: bool
    """A later minute has begun, by the newest trade of its venue. Late trades may still change the candle."""
    history: int
    """Minutes from the first known minute of the symbol to this one, both included; at most indicators.KEPT_MINUTES."""
    indicators: Mapping[str, float | None] = field(default_factory=dict)
    """By the names of tapeline.records.candle.INDICATORS."""
    windows: Mapping[str, float | None] = field(default_factory=dict)
    """By the names of tapeline.records.candle.windowed_fields(), such as `return_bp_5m`."""


class LogClock(NamedTuple):
    """How far the log of one venue was read."""

    newest_ms: int = 0
    """The newest `traded_at` of any of its instruments, ms UTC; never goes back."""
    is_caught_up: bool = False
    """Its partitions were read to their end. Only then does a missing trade mean a silent instrument: during catch-up
    one partition can be hours ahead of another."""


class ProducerRecords(NamedTuple):
    """Records of the topics beside the trades, by what they are; in log order per partition.

    There is no order between topics: records about a minute can come before its trades or long after.
    """

    counts: Sequence[LogRow] = ()
    """Of STREAM_TOPIC_COUNTS."""
    gaps: Sequence[LogRow] = ()
    """Of STREAM_TOPIC_GAPS."""
    rejects: Sequence[LogRow] = ()
    """Of STREAM_TOPIC_REJECTS."""


NO_RECORDS: Final = ProducerRecords()


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes of one batch.

    Attributes:
        clocks: the clock of each venue that the log has trades of, changed or not. One venue's clock says nothing about
            another venue's minutes.
        candles: every changed candle, by instrument and start of the minute, minutes ascending.
        missed: minutes with trades too late for the candle (which is not in `candles` then): all such records of the
            minute so far. Their ids are no longer known, so duplicates count too.
        last_traded_ms: newest `traded_at` of every known instrument, changed or not, ms UTC.
        producer_records: what producers reported beside the trades.
        unreadable: records of the trade topic that are not trades; the trade query turns them into rejects.
        topic_venues: venues of the trades of each topic so far.
    """

    clocks: Mapping[str, LogClock]
    candles: Mapping[Instrument, Mapping[int, Candle]]
    missed: Mapping[Instrument, Mapping[int, int]]
    last_traded_ms: Mapping[Instrument, int]
    producer_records: ProducerRecords = NO_RECORDS
    unreadable: Sequence[LogRow] = ()
    topic_venues: Mapping[str, Collection[str]] = field(default_factory=dict)


class CandleListener(Protocol):
    """Built on candles; calls never overlap."""

    name: str
    """Key of its state in the snapshot; never changed once in use."""

    def restore(self, state: bytes | None) -> None:
        """Load a state of `snapshot`, or start empty; called first, and again before a replay.

        An unreadable state (of an older version) counts as None.
        """

    def snapshot(self) -> bytes:
        """Return the state; called between two batches, when everything received so far is committed."""

    def after_batch(self, changes: Changes) -> None:
        """Process the changes; returns when the results are durable.

        Raises:
            StreamError: the results are not durable; Spark does not commit the batch.
        """

    def tick(self, now_ms: int) -> None:
        """Do what is due by the local clock, also without new records.

        Called every few seconds between batches, never before the first `after_batch`. Results after a replay must not
        depend on state changed here: ticks are not in the log.

        Args:
            now_ms: local clock, ms UTC.

        Raises:
            StreamError: as `after_batch`.
        """

"""What a batch of the candle query changed, and what may follow it: the way in for everything built on candles.

A batch goes: the log's records into the state (book.py), candles of what changed (series.py), their documents into
Elasticsearch, then every `Follower.after_batch(changes)` in turn, then Spark commits the batch. So:

* What a follower is told stands in Elasticsearch already (findable after the next refresh).
* A follower that raises a StreamError ends the query; after the restart the batch comes again, with the same changes.
* After a crash the records since the last snapshot come again, in pieces of another size. A follower gets back the
  state it gave with that snapshot and is told everything since. So its documents must have ids made of what they are
  about (written over, or 409), and what it does must not depend on where batches begin or end.
* Within a batch each changed candle is told once, as it stands at its end. A minute is told again whenever it changes:
  trades came, a later minute began (`is_closed`), a late trade came into it or into one before it.
* The state given with a snapshot is all a follower may remember. Without a snapshot everything comes from the start
  of the log, or from as far back as candles need, and a follower begins with None.

Pure: no socket, no clock. To add a follower: implement `Follower`, and name it where __main__ makes them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

Key = tuple[str, str]
"""(market_type, symbol); the venue is names.VENUE."""


class LogRow(NamedTuple):
    """One record of a topic as Kafka holds it."""

    topic: str
    partition: int
    offset: int
    key: str | None
    """Of trades, rejects of trades and counts: the symbol."""
    value: bytes | None
    timestamp_ms: int
    """When it was produced, as Kafka tells it."""


@dataclass(frozen=True, slots=True)
class Candle:
    """One minute of one symbol; the same numbers as in its document (tapeline.candle says what they mean)."""

    minute_ms: int
    """Start of the minute, ms UTC."""
    open: float
    high: float
    low: float
    close: float
    vwap: float
    """Quote per base. A quiet minute has the last close in all five."""
    volume: float
    notional: float
    buy_volume: float
    """Base, quote, base."""
    trades: int
    """Distinct trades."""
    late_trades: int
    """Of those, how many came behind a later one of their symbol."""
    missed_trades: int
    """Beside those: too late to be in it, see STREAM_LATE_MINUTES."""
    logged: int
    """Records of this minute in the log, copies and missed ones included."""
    is_quiet: bool
    is_closed: bool
    """A later minute has begun, by the newest trade of any symbol. Late trades may still change it."""
    history: int
    """Minutes from the first known one of the symbol to this one, both included; at most indicators.KEPT_MINUTES."""
    indicators: Mapping[str, float | None] = field(default_factory=dict)
    """By the names of tapeline.candle.INDICATORS."""
    windows: Mapping[str, float | None] = field(default_factory=dict)
    """By the names of tapeline.candle.windowed_fields(), such as `return_bp_5m`."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What one batch changed.

    Attributes:
        newest_ms: the newest `traded_at` of any symbol so far, ms UTC: the clock of the log; it never goes back.
        is_caught_up: every partition was read to its end. Only then does it say anything that a symbol has no trade:
            while the log is caught up with, one partition can be hours ahead of another.
        candles: every candle that is not what it was, by symbol and start of the minute, minutes ascending.
        missed: where trades came too late for the candle (which is not in `candles` then): all such records of that
            minute so far. Their ids are forgotten by then, so a copy counts too.
        last_traded_ms: newest `traded_at` of every symbol known, changed or not, ms UTC.
        books: records of names.TOPIC_COUNTS, TOPIC_GAPS and TOPIC_REJECTS, in log order within a partition. Between
            topics there is no order: what is said of a minute can come before its trades or long after.
        unreadable: records of the trade topic that are no trades; the trades query makes rejects of them.
    """

    newest_ms: int
    is_caught_up: bool
    candles: Mapping[Key, Mapping[int, Candle]]
    missed: Mapping[Key, Mapping[int, int]]
    last_traded_ms: Mapping[Key, int]
    books: Sequence[LogRow] = ()
    unreadable: Sequence[LogRow] = ()


class Follower(Protocol):
    """Something that is built on candles; all calls come one at a time."""

    name: str
    """Under which its state is kept in the snapshot; never changed once it is in use."""

    def restore(self, state: bytes | None) -> None:
        """Take back a state of `save`, or begin with nothing; called before anything else, and again for a replay.

        A state that cannot be read (an older version's) is treated as None.
        """

    def save(self) -> bytes:
        """Return all that is remembered; called between two batches, when everything told so far is committed."""

    def after_batch(self, changes: Changes) -> None:
        """Do what follows from the changes; returns when it stands.

        Raises:
            StreamError: it does not stand; nothing of the batch is committed.
        """

    def tick(self, now_ms: int) -> None:
        """Do what is due by our own clock, also while no record comes at all.

        Called every few seconds between batches, never before the first `after_batch`. Nothing that it changes in the
        state may be needed for being right after a replay: ticks are not in the log.

        Args:
            now_ms: our clock, ms UTC.

        Raises:
            StreamError: as `after_batch`.
        """

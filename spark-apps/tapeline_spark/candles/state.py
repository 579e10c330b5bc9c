"""Candle state: per instrument, the minutes that trades can still enter, and the closed history before them.

Pure. `admit` is a function of the log, record after record. An instrument lies in one partition, so its state depends
on the order of that partition alone, never on batches. Each venue has a clock of its own, which closes the minutes of
its own instruments alone. `changed` returns the minutes to publish again. A trade more than `late_minutes` behind the
newest minute of its instrument is missed: counted, and in no candle.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from tapeline import trade as trades
from tapeline.instrument import Instrument
from tapeline.records import candle

from tapeline_spark.candles.closed_history import ClosedHistory
from tapeline_spark.candles.listener import LogClock
from tapeline_spark.candles.open_minute import OpenMinute
from tapeline_spark.kafka.decode import DecodedTrade, TopicPartition
from tapeline_spark.trades.lookback import Order, order_key

MINUTE_MS: Final = candle.MINUTE_MS
OUTCOMES: Final = ("counted", "duplicate", "missed", "truncated", "ahead")
"""`truncated`: of a minute whose beginning the log no longer holds; `ahead`: with a time in the future."""
AHEAD_MS: Final = 5 * MINUTE_MS
"""How far a trade's time may be ahead of the local clock; a trade of next year would close every minute until then."""
_MAX_MISSED_MINUTES: Final = 1_440


def minute_of(at_ms: int) -> int:
    """Return the start of the minute, ms UTC."""
    return at_ms - at_ms % MINUTE_MS


@dataclass(slots=True)
class SymbolCandles:
    """Minutes of one symbol.

    Attributes:
        partition: topic and partition of its trades.
        first_ms: its first known minute.
        published_until_ms: last minute that was published as closed.
        newest: order of its newest trade.
        closed: minutes before the horizon that were published as closed.
        minutes: later minutes with trades.
        missed: number of too late records by minute.
        changed_ms: first minute that changed since it was published; None if none did.
        missed_changed: minutes of `missed` that changed since they were published.
    """

    partition: TopicPartition
    first_ms: int
    published_until_ms: int
    newest: Order
    closed: ClosedHistory
    minutes: dict[int, OpenMinute] = field(default_factory=dict)
    missed: dict[int, int] = field(default_factory=dict)
    changed_ms: int | None = None
    missed_changed: set[int] = field(default_factory=set)

    @property
    def newest_minute(self) -> int:
        """Return the start of the newest minute with a trade."""
        return minute_of(self.newest[0])

    def extend_back_to(self, minute: int) -> None:
        """Move the first minute of the symbol back; its closed history is still empty then."""
        if minute < self.first_ms:
            self.first_ms = self.closed.end_ms = minute

    def count_missed(self, minute: int) -> None:
        """Count a too late record."""
        self.missed[minute] = self.missed.get(minute, 0) + 1
        self.missed_changed.add(minute)

    def traded_minutes(self) -> list[int]:
        """Return the minutes with trades, ascending, led by the last one of the closed history."""
        known = [] if self.closed.traded_ms is None else [self.closed.traded_ms]
        return known + sorted(self.minutes)

    def trim(self, horizon_ms: int) -> None:
        """Move published minutes before the horizon to the closed history, and drop what no later minute needs."""
        end_ms = min(horizon_ms, self.published_until_ms + MINUTE_MS)
        for minute in sorted(minute for minute in self.minutes if minute < end_ms):
            self.closed.append(minute, self.minutes.pop(minute))
        self.closed.carry_to(end_ms)
        self.closed.trim()
        compact_before = self.newest_minute - MINUTE_MS
        for minute, item in self.minutes.items():
            if minute < compact_before:
                item.ids.compact()
        for minute in sorted(self.missed)[: max(0, len(self.missed) - _MAX_MISSED_MINUTES)]:
            del self.missed[minute]


@dataclass(frozen=True, slots=True)
class ChangedMinutes:
    """Minutes of one instrument to publish."""

    instrument: Instrument
    symbol_candles: SymbolCandles
    minutes: list[int]
    open_ms: int
    """Minutes before this one are closed."""


class CandleState:
    """Minutes of all instruments, and the next offset of each partition."""

    def __init__(self, late_minutes: int, quiet_minutes: int) -> None:
        """Start empty, without an offset for any partition.

        Args:
            late_minutes: how many minutes a trade may be behind the newest minute of its symbol.
            quiet_minutes: for how many minutes after its last trade a symbol gets candles.
        """
        self.late_ms, self.quiet_ms = late_minutes * MINUTE_MS, quiet_minutes * MINUTE_MS
        self.symbols: dict[Instrument, SymbolCandles] = {}
        self.next_offset: dict[TopicPartition, int] = {}
        self.complete_from: dict[TopicPartition, int] = {}
        self.newest_ms: dict[str, dict[TopicPartition, int]] = {}
        """Time of the newest trade by venue and partition, ms UTC."""
        self._caught_up: set[str] = set()
        self._read_since: set[str] = set()
        """Venues with trades since the last call of `changed`."""

    def clocks(self) -> dict[str, LogClock]:
        """Return the clock of each venue."""
        return {
            venue: LogClock(max(partitions.values()), venue in self._caught_up)
            for venue, partitions in self.newest_ms.items()
        }

    def topic_venues(self) -> dict[str, set[str]]:
        """Return the venues of the trades of each topic."""
        found: dict[str, set[str]] = {}
        for venue, partitions in self.newest_ms.items():
            for topic, _ in partitions:
                found.setdefault(topic, set()).add(venue)
        return found

    def begin_partition(self, topic: str, partition: int, offset: int, with_trades: bool) -> None:
        """Set the first offset of a partition; if it is not 0, earlier minutes are truncated."""
        self.next_offset[topic, partition] = offset
        if with_trades and offset == 0:
            self.complete_from[topic, partition] = 0

    def admit(self, topic: str, records: Iterable[DecodedTrade]) -> Counter[str]:
        """Admit records of one topic in log order; return their number by outcome (OUTCOMES)."""
        outcomes: Counter[str] = Counter()
        for record in records:
            outcomes[self._admit_one(record.trade, (topic, record.partition))] += 1
        return outcomes

    def _admit_one(self, trade: Any, partition: TopicPartition) -> str:
        minute = minute_of(trade.traded_at)
        if trade.traded_at > trade.produced_at + AHEAD_MS:
            return "ahead"
        if minute < self._complete_from(trade, partition):
            return "truncated"
        self._advance(trade, partition)
        instrument, order = trades.instrument_of(trade), order_key(trade)
        symbol_candles = self.symbols.get(instrument)
        if symbol_candles is None:
            symbol_candles = self.symbols[instrument] = SymbolCandles(
                partition, minute, minute - MINUTE_MS, order, ClosedHistory(minute)
            )
        symbol_candles.partition = partition
        if minute < symbol_candles.newest_minute - self.late_ms:
            symbol_candles.count_missed(minute)
            return "missed"
        item = symbol_candles.minutes.get(minute)
        if item is None:
            item = symbol_candles.minutes[minute] = OpenMinute()
        is_new = item.add(trade, order, order < symbol_candles.newest)
        # A duplicate changes the count of logged records, if not the candle.
        symbol_candles.changed_ms = (
            minute if symbol_candles.changed_ms is None else min(symbol_candles.changed_ms, minute)
        )
        symbol_candles.newest = max(symbol_candles.newest, order)
        symbol_candles.extend_back_to(minute)
        return "counted" if is_new else "duplicate"

    def _advance(self, trade: Any, partition: TopicPartition) -> None:
        self._read_since.add(trade.venue)
        newest_ms = self.newest_ms.get(trade.venue)
        if newest_ms is None:
            newest_ms = self.newest_ms[trade.venue] = {}
        if trade.traded_at > newest_ms.get(partition, 0):
            newest_ms[partition] = trade.traded_at

    def _complete_from(self, trade: Any, partition: TopicPartition) -> int:
        """Return the first minute of which the log holds every trade."""
        known = self.complete_from.get(partition)
        if known is None:
            # Deleted records were produced, and so traded, before the first remaining record was produced.
            known = self.complete_from[partition] = minute_of(trade.produced_at) + MINUTE_MS
        return known

    def changed(self, is_caught_up: bool) -> list[ChangedMinutes]:
        """Return the minutes to publish again, and mark them as published.

        Args:
            is_caught_up: every partition was read to its end. If not, the venues of the records since the last call are
                behind, and only trades of its own venue and partition close a minute of theirs. Spark gives every
                partition with unread records a part of a batch, so a venue without records stays caught up.
        """
        self._caught_up = set(self.newest_ms) if is_caught_up else self._caught_up - self._read_since
        self._read_since.clear()
        clocks = self.clocks()
        return [
            one
            for instrument, symbol_candles in self.symbols.items()
            if (one := self._changed_minutes(instrument, symbol_candles, clocks[instrument.venue]))
        ]

    def _changed_minutes(
        self, instrument: Instrument, symbol_candles: SymbolCandles, clock: LogClock
    ) -> ChangedMinutes | None:
        own_ms = self.newest_ms[instrument.venue].get(symbol_candles.partition, 0)
        clock_ms = clock.newest_ms if clock.is_caught_up else own_ms
        # A closed minute stays closed.
        open_ms = max(minute_of(clock_ms), symbol_candles.published_until_ms + MINUTE_MS)
        due = min(open_ms - MINUTE_MS, symbol_candles.newest_minute + self.quiet_ms)
        start = symbol_candles.published_until_ms + MINUTE_MS
        if symbol_candles.changed_ms is None and due < start:
            return None
        first = start if symbol_candles.changed_ms is None else min(symbol_candles.changed_ms, start)
        symbol_candles.changed_ms, symbol_candles.published_until_ms = None, max(symbol_candles.published_until_ms, due)
        minutes = self._with_quiet(symbol_candles.traded_minutes(), first, max(due, symbol_candles.newest_minute))
        return ChangedMinutes(instrument, symbol_candles, minutes, open_ms)

    def _with_quiet(self, traded: list[int], first: int, last: int) -> list[int]:
        """Return the minutes from first to last, without quiet ones beyond `quiet_minutes`."""
        begun = max(0, bisect_right(traded, first) - 1)
        minutes: list[int] = []
        for minute, following in pairwise([*traded[begun:], last + MINUTE_MS]):
            stop = min(following, minute + self.quiet_ms + MINUTE_MS)
            minutes += range(max(minute, first), stop, MINUTE_MS)
        return minutes

    def missed(self) -> dict[Instrument, dict[int, int]]:
        """Return the counts of too late records that changed since the last call."""
        changed: dict[Instrument, dict[int, int]] = {}
        for instrument, symbol_candles in self.symbols.items():
            if symbol_candles.missed_changed:
                changed[instrument] = {
                    minute: symbol_candles.missed[minute] for minute in sorted(symbol_candles.missed_changed)
                }
                symbol_candles.missed_changed.clear()
        return changed

    def trim(self, changed: Iterable[ChangedMinutes]) -> None:
        """Trim the symbols of published minutes."""
        for one in changed:
            one.symbol_candles.trim(one.symbol_candles.newest_minute - self.late_ms)

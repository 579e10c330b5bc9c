"""The state of the candles: the minutes of each symbol that trades can still come into, and the closes before them.

Pure. `admit` is a function of the log, record after record; a symbol lies in one partition, so all that is said of it
depends on the order of that partition alone, never on batches. `changed` says which minutes must be shown again.
What comes more than `late_minutes` behind the newest minute of its symbol is missed: counted, and in no candle.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from tapeline.records import candle

from tapeline_spark.candles.closed_history import Past
from tapeline_spark.candles.listener import Key
from tapeline_spark.candles.open_minute import Minute
from tapeline_spark.kafka.decode import Record
from tapeline_spark.trades.lookback import Order, order_of

MINUTE_MS: Final = candle.MINUTE_MS
OUTCOMES: Final = ("counted", "duplicate", "missed", "cut", "ahead")
"""`cut`: of a minute whose beginning the log no longer holds; `ahead`: of a time that cannot have come yet."""
AHEAD_MS: Final = 5 * MINUTE_MS
"""How far a trade's time may lie after our own clock's; one of next year would close every minute until then."""
_MISSED_KEPT: Final = 1_440


def minute_of(at_ms: int) -> int:
    """Return the start of the minute, ms UTC."""
    return at_ms - at_ms % MINUTE_MS


@dataclass(slots=True)
class Series:
    """One symbol's minutes.

    Attributes:
        partition: where its trades come from.
        first_ms: its first known minute.
        shown_ms: the last minute that was shown as closed.
        newest: order of its newest trade.
        past: minutes before the horizon that were shown as closed.
        minutes: those with trades that follow them.
        missed: by minute, records that came too late for it.
        changed_ms: the first minute that changed since it was shown; None if none did.
        missed_now: minutes of `missed` that changed since they were shown.
    """

    partition: int
    first_ms: int
    shown_ms: int
    newest: Order
    past: Past
    minutes: dict[int, Minute] = field(default_factory=dict)
    missed: dict[int, int] = field(default_factory=dict)
    changed_ms: int | None = None
    missed_now: set[int] = field(default_factory=set)

    @property
    def newest_minute(self) -> int:
        """Return the start of the newest minute with a trade."""
        return minute_of(self.newest[0])

    def begin_at(self, minute: int) -> None:
        """Let the symbol begin there, if it is not known that early; nothing of it is past then."""
        if minute < self.first_ms:
            self.first_ms = self.past.end_ms = minute

    def miss(self, minute: int) -> None:
        """Count a record that came too late."""
        self.missed[minute] = self.missed.get(minute, 0) + 1
        self.missed_now.add(minute)

    def traded_minutes(self) -> list[int]:
        """Return every minute with trades that is not past, ascending, led by the last one that is."""
        known = [] if self.past.traded_ms is None else [self.past.traded_ms]
        return known + sorted(self.minutes)

    def forget(self, horizon_ms: int) -> None:
        """Keep of minutes before the horizon what later ones need, and nothing of those that none needs."""
        end_ms = min(horizon_ms, self.shown_ms + MINUTE_MS)
        for minute in sorted(minute for minute in self.minutes if minute < end_ms):
            self.past.append(minute, self.minutes.pop(minute))
        self.past.carry_to(end_ms)
        self.past.trim()
        hot = self.newest_minute - MINUTE_MS
        for minute, item in self.minutes.items():
            if minute < hot:
                item.ids.pack()
        for minute in sorted(self.missed)[: max(0, len(self.missed) - _MISSED_KEPT)]:
            del self.missed[minute]


@dataclass(frozen=True, slots=True)
class Span:
    """Minutes of one symbol that are to be shown."""

    key: Key
    series: Series
    minutes: list[int]
    open_ms: int
    """Minutes before this one are closed."""


class Book:
    """Every symbol's minutes, and up to where the log is in them."""

    def __init__(self, late_minutes: int, quiet_minutes: int) -> None:
        """Start empty, expecting nothing of any partition.

        Args:
            late_minutes: how far behind the newest minute of its symbol a trade may come.
            quiet_minutes: for how many minutes after its last trade a symbol has candles.
        """
        self.late_ms, self.quiet_ms = late_minutes * MINUTE_MS, quiet_minutes * MINUTE_MS
        self.series: dict[Key, Series] = {}
        self.next_offset: dict[tuple[str, int], int] = {}
        self.whole_from: dict[int, int] = {}
        self.clock: dict[int, int] = {}

    @property
    def newest_ms(self) -> int:
        """Return the newest time of a trade."""
        return max(self.clock.values(), default=0)

    def begin(self, topic: str, partition: int, offset: int, with_trades: bool) -> None:
        """Take note of where a partition is read from; if that is not its beginning, minutes before are cut."""
        self.next_offset[topic, partition] = offset
        if with_trades and offset == 0:
            self.whole_from[partition] = 0

    def admit(self, records: Iterable[Record]) -> Counter[str]:
        """Take records in log order; return how many of them became what, by the names of OUTCOMES."""
        outcomes: Counter[str] = Counter()
        for record in records:
            outcomes[self._take(record)] += 1
        return outcomes

    def _take(self, record: Record) -> str:
        trade, partition = record.trade, record.partition
        minute = minute_of(trade.traded_at)
        if trade.traded_at > trade.produced_at + AHEAD_MS:
            return "ahead"
        if minute < self._whole_from(record):
            return "cut"
        self.clock[partition] = max(self.clock.get(partition, 0), trade.traded_at)
        key, order = (trade.market_type, trade.symbol), order_of(trade)
        series = self.series.get(key)
        if series is None:
            series = self.series[key] = Series(partition, minute, minute - MINUTE_MS, order, Past(minute))
        series.partition = partition
        if minute < series.newest_minute - self.late_ms:
            series.miss(minute)
            return "missed"
        item = series.minutes.get(minute)
        if item is None:
            item = series.minutes[minute] = Minute()
        is_new = item.add(trade, order, order < series.newest)
        # A copy changes what is known of the log, if not the candle.
        series.changed_ms = minute if series.changed_ms is None else min(series.changed_ms, minute)
        series.newest = max(series.newest, order)
        series.begin_at(minute)
        return "counted" if is_new else "duplicate"

    def _whole_from(self, record: Record) -> int:
        """Return the first minute of which the log holds every trade."""
        known = self.whole_from.get(record.partition)
        if known is None:
            # What is gone was produced before the first record that is there, and so was traded before that.
            known = self.whole_from[record.partition] = minute_of(record.trade.produced_at) + MINUTE_MS
        return known

    def changed(self, is_caught_up: bool) -> list[Span]:
        """Return what must be shown again, and take it as shown.

        Args:
            is_caught_up: every partition was read to its end; if not, only its own trades close a symbol's minutes.
        """
        return [span for key, series in self.series.items() if (span := self._span(key, series, is_caught_up))]

    def _span(self, key: Key, series: Series, is_caught_up: bool) -> Span | None:
        clock = self.newest_ms if is_caught_up else self.clock.get(series.partition, 0)
        # What was closed once stays closed.
        open_ms = max(minute_of(clock), series.shown_ms + MINUTE_MS)
        due = min(open_ms - MINUTE_MS, series.newest_minute + self.quiet_ms)
        start = series.shown_ms + MINUTE_MS
        if series.changed_ms is None and due < start:
            return None
        first = start if series.changed_ms is None else min(series.changed_ms, start)
        series.changed_ms, series.shown_ms = None, max(series.shown_ms, due)
        minutes = self._with_quiet(series.traded_minutes(), first, max(due, series.newest_minute))
        return Span(key, series, minutes, open_ms)

    def _with_quiet(self, traded: list[int], first: int, last: int) -> list[int]:
        """Return minutes from first to last, but none that is quiet for longer than a symbol may be."""
        begun = max(0, bisect_right(traded, first) - 1)
        minutes: list[int] = []
        for minute, following in pairwise([*traded[begun:], last + MINUTE_MS]):
            stop = min(following, minute + self.quiet_ms + MINUTE_MS)
            minutes += range(max(minute, first), stop, MINUTE_MS)
        return minutes

    def missed(self) -> dict[Key, dict[int, int]]:
        """Return the records that came too late, where there are more of them than were told before."""
        told: dict[Key, dict[int, int]] = {}
        for key, series in self.series.items():
            if series.missed_now:
                told[key] = {minute: series.missed[minute] for minute in sorted(series.missed_now)}
                series.missed_now.clear()
        return told

    def forget(self, spans: Iterable[Span]) -> None:
        """Let go of what is not needed any more, once these have been shown."""
        for span in spans:
            span.series.forget(span.series.newest_minute - self.late_ms)

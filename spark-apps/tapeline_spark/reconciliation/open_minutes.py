"""What is remembered of the minutes whose books are not closed yet, and which of them are due for a look.

Pure: changes of a batch in, times as arguments. All of it comes from the log, so a replay from a snapshot ends in the
same; what a look found (`Minute.seen` and after) is a memory of our own that may be lost.
A minute is let go once late trades can no longer change it and its hands have been still for a while.
"""

from collections.abc import Iterator
from typing import Final

import msgspec
from tapeline import names
from tapeline.records import candle, reconciliation
from tapeline.records.gap import Gap

from tapeline_spark.candles.listener import Changes, Key, LogRow
from tapeline_spark.reconciliation import reject_attribution
from tapeline_spark.reconciliation.minute import Hole, Minute, State
from tapeline_spark.reconciliation.rule import PATIENCE_MS, Hands, is_over

_ALIVE_MS: Final = 30_000
"""A producer is taken for dead that has told nothing for so long while others have."""
_ASK_AGAIN_MS: Final = 15_000
_MOST_AMENDED: Final = 24 * 60
"""Minutes of one hole, counted from its end, that are gone back to after they were settled."""


def _text(key: Key) -> str:
    return "|".join(key)


def _key(text: str) -> Key:
    market_type, symbol = text.split("|")
    return market_type, symbol


class Ledger:
    """The open books of all symbols."""

    def __init__(self, keep_ms: int, state: bytes | None = None) -> None:
        """Start with a saved state, or with nothing where there is none that can be read.

        Args:
            keep_ms: how long after its end late trades may change a minute, by the clock of the log.
            state: of `save`.
        """
        self._keep_ms = keep_ms
        self.strays = 0
        """Counts that came for minutes long settled."""
        try:
            self._state = msgspec.msgpack.decode(state, type=State) if state else State()
        except (msgspec.DecodeError, msgspec.ValidationError):
            self._state = State()

    def save(self) -> bytes:
        """Return all of it."""
        return msgspec.msgpack.encode(self._state)

    @property
    def newest_ms(self) -> int:
        """The clock of the log, ms UTC."""
        return self._state.newest_ms

    @property
    def is_caught_up(self) -> bool:
        """Whether the last batch read the log to its end."""
        return self._state.is_caught_up

    def apply(self, changes: Changes) -> None:
        """Take a batch in."""
        self._state.newest_ms, self._state.is_caught_up = changes.newest_ms, changes.is_caught_up
        for key, candles in changes.candles.items():
            for minute_ms, one in candles.items():
                if self._make(key, minute_ms).take(one):
                    self._read_again(key, minute_ms)
        for key, missed in changes.missed.items():
            for minute_ms, number in missed.items():
                if self._make(key, minute_ms).miss(number):
                    self._read_again(key, minute_ms)
        for row in changes.books:
            if row.topic == names.TOPIC_COUNTS:
                self._count(row)
            elif row.topic == names.TOPIC_GAPS:
                self._hole(row)
            else:
                self._reject(*reject_attribution.place_report(row.value or b"", row.timestamp_ms))
        for row in changes.unreadable:
            self._reject(*reject_attribution.place(row.value or b"", row.timestamp_ms, symbol=row.key))

    def _make(self, key: Key, minute_ms: int) -> Minute:
        minutes = self._state.minutes.setdefault(_text(key), {})
        minute = minutes.get(minute_ms)
        if minute is None:
            minute = minutes[minute_ms] = Minute()
        return minute

    def _read_again(self, key: Key, minute_ms: int) -> None:
        """Forget what was read of a minute, and what minutes before it learnt from that."""
        minutes = self._state.minutes[_text(key)]
        was_read = any(one.head is not None for at_ms, one in minutes.items() if at_ms >= minute_ms)
        minutes[minute_ms].is_scored, minutes[minute_ms].head = False, None
        if not was_read:
            return
        for earlier_ms in sorted((one for one in minutes if one < minute_ms), reverse=True):
            earlier = minutes[earlier_ms]
            if not earlier.trades:
                continue
            if not earlier.is_scored and earlier.head is None:
                return
            earlier.is_scored = False
            # Where its price changed, what came before that found its answer there.
            if earlier.head is None or earlier.head.second_price is not None:
                return

    def _is_settled(self, key: Key, minute_ms: int) -> bool:
        is_old = minute_ms + candle.MINUTE_MS + self._keep_ms < self.newest_ms
        return is_old and minute_ms not in self._state.minutes.get(_text(key), {})

    def _count(self, row: LogRow) -> None:
        try:
            count = reconciliation.Count.model_validate_json(row.value or b"")
        except ValueError:
            self._reject(*reject_attribution.place(row.value or b"", row.timestamp_ms, symbol=row.key))
            return
        process = count.producer.partition(".")[0]
        self._state.heard_ms[process] = max(self._state.heard_ms.get(process, 0), count.counted_at)
        key = count.market_type, count.symbol
        if self._is_settled(key, count.minute):
            self.strays += 1
            return
        counts = self._make(key, count.minute).counts
        before = counts.get(count.producer, (0, 0))
        # Totals never go back; reports of one producer may have been sent twice.
        counts[count.producer] = max(before[0], count.received), max(before[1], count.produced)

    def _hole(self, row: LogRow) -> None:
        try:
            gap = Gap.model_validate_json(row.value or b"")
        except ValueError:
            self._reject(*reject_attribution.place(row.value or b"", row.timestamp_ms, symbol=row.key))
            return
        key = gap.market_type, gap.symbol
        holes = self._state.holes.setdefault(_text(key), [])
        if any(hole.identity == gap.identity() for hole in holes):
            return
        holes.append(Hole(gap.identity(), gap.from_traded_at, gap.to_traded_at))
        for minute_ms in self._state.minutes.get(_text(key), {}):
            if gap.from_traded_at < minute_ms + candle.MINUTE_MS and minute_ms <= gap.to_traded_at:
                self._read_again(key, minute_ms)
        last_ms = gap.to_traded_at - gap.to_traded_at % candle.MINUTE_MS
        first_ms = max(gap.from_traded_at, last_ms - _MOST_AMENDED * candle.MINUTE_MS)
        touched = range(first_ms - first_ms % candle.MINUTE_MS, last_ms + 1, candle.MINUTE_MS)
        late = [minute_ms for minute_ms in touched if self._is_settled(key, minute_ms)]
        if late:
            self._state.amend.setdefault(_text(key), []).extend(late)

    def _reject(self, keys: list[Key], minute_ms: int) -> None:
        for key in keys:
            at_ms = minute_ms
            if self._is_settled(key, minute_ms):
                at_ms = self.newest_ms - self.newest_ms % candle.MINUTE_MS
            self._make(key, at_ms).rejected += 1

    def holes(self, key: Key) -> list[tuple[int, int]]:
        """Return the known holes of a symbol's feed: the times of their ends, ms UTC."""
        return [(hole.from_ms, hole.to_ms) for hole in self._state.holes.get(_text(key), [])]

    def hands(self, key: Key, minute_ms: int, indexed: int) -> Hands:
        """Return what is known of a minute.

        Args:
            key: market_type and symbol.
            minute_ms: start of the minute, ms UTC.
            indexed: documents of it in Elasticsearch.
        """
        minute = self._state.minutes[_text(key)][minute_ms]
        received = sum(number for number, _ in minute.counts.values())
        produced = sum(number for _, number in minute.counts.values())
        of_log = minute.logged, minute.distinct, minute.missed
        gaps = self.gaps(key, minute_ms)
        return Hands(received, produced, *of_log, indexed, minute.rejected, gaps)

    def gaps(self, key: Key, minute_ms: int) -> int:
        """Return how many known holes touch a minute."""
        end_ms = minute_ms + candle.MINUTE_MS
        return sum(start < end_ms and stop >= minute_ms for start, stop in self.holes(key))

    def is_owed(self, minute: Minute) -> bool:
        """Return whether a producer that lives has read more of a minute than it knows Kafka to have."""
        heard_ms = self._state.heard_ms
        alive_since = max(heard_ms.values(), default=0) - _ALIVE_MS
        return any(
            received > produced and heard_ms.get(producer.partition(".")[0], 0) >= alive_since
            for producer, (received, produced) in minute.counts.items()
        )

    def of(self, key: Key) -> dict[int, Minute]:
        """Return the minutes of a symbol by their start, ascending."""
        return dict(sorted(self._state.minutes.get(_text(key), {}).items()))

    def each(self) -> Iterator[tuple[Key, int, Minute]]:
        """Yield every minute."""
        for text, minutes in self._state.minutes.items():
            for minute_ms, minute in minutes.items():
                yield _key(text), minute_ms, minute

    def due(self, now_ms: int, recount_ms: int) -> list[tuple[Key, int, Minute]]:
        """Return the minutes to look at: those with news, those that do not balance yet, and the others by and by.

        Args:
            now_ms: our clock, ms UTC.
            recount_ms: how often a minute is looked at that seems to be done.
        """
        return [(k, m, one) for k, m, one in self.each() if now_ms - one.looked_ms >= self._wait(k, m, one, recount_ms)]

    def _wait(self, key: Key, minute_ms: int, minute: Minute, recount_ms: int) -> int:
        if not is_over(minute_ms, self.newest_ms):
            return recount_ms
        if minute.seen is None or minute.seen != self.hands(key, minute_ms, minute.seen.indexed):
            return 0
        if minute.state == "open":
            return 0
        return min(_ASK_AGAIN_MS, recount_ms) if minute.state == "incomplete" else recount_ms

    def look(self, minute: Minute, hands: Hands, now_ms: int) -> int:
        """Take note of a look; return how long the hands have been still, ms."""
        if minute.seen != hands:
            minute.moved_ms = now_ms
        minute.seen, minute.looked_ms = hands, now_ms
        return now_ms - minute.moved_ms

    def amendments(self) -> list[tuple[Key, int]]:
        """Return the minutes that were settled before a hole in them was known."""
        return [(_key(text), minute_ms) for text, late in self._state.amend.items() for minute_ms in late]

    def settle(self, now_ms: int) -> int:
        """Let go of what is done for good; return of how many minutes.

        Args:
            now_ms: our clock, ms UTC.
        """
        state, gone = self._state, 0
        state.amend = {}
        newest_heard = max(state.heard_ms.values(), default=0)
        state.heard_ms = {name: at for name, at in state.heard_ms.items() if at >= newest_heard - self._keep_ms}
        floor = self.newest_ms - self._keep_ms - candle.MINUTE_MS
        for text, minutes in list(state.minutes.items()):
            done = [m for m, one in minutes.items() if m < floor and _is_still(one, now_ms)]
            gone += len(done)
            for minute_ms in done:
                del minutes[minute_ms]
            if not minutes:
                del state.minutes[text]
        for text, holes in list(state.holes.items()):
            oldest = min(state.minutes.get(text, {self.newest_ms: None}))
            state.holes[text] = [hole for hole in holes if hole.to_ms >= min(oldest, floor)]
            if not state.holes[text]:
                del state.holes[text]
        return gone


def _is_still(minute: Minute, now_ms: int) -> bool:
    return minute.seen is not None and minute.state != "open" and now_ms - minute.moved_ms > 2 * PATIENCE_MS

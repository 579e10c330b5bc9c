"""Holds the minutes that are open for reconciliation, and selects those that are due for a check.

Pure: changes of a batch in, times as arguments. All state comes from the log, so a replay from a snapshot ends in the
same state; results of a check (`MinuteState.last_counts` and later fields) may be lost. A minute is dropped once late
trades can no longer change it and its counts have not changed for a while.
"""

from collections.abc import Collection, Iterator
from typing import Final

from tapeline import names
from tapeline.enums import ReconciliationState
from tapeline.instrument import Instrument
from tapeline.records import candle, reconciliation
from tapeline.records.gap import Gap

from tapeline_spark.candles.listener import Changes, LogClock, LogRow
from tapeline_spark.minutes.known_gaps import KnownGaps
from tapeline_spark.minutes.minute_trades import FINAL_AFTER_MS, first_changeable_ms, is_over
from tapeline_spark.reconciliation import reject_attribution
from tapeline_spark.reconciliation.minute import MinuteState
from tapeline_spark.reconciliation.producer_liveness import ProducerLiveness
from tapeline_spark.reconciliation.rule import StageCounts
from tapeline_spark.reconciliation.state import OpenMinutesState

_RECHECK_MS: Final = 15_000
_MAX_REOPENED: Final = 24 * 60
"""Most minutes, counted from the end of a gap, that are reopened after they were dropped."""


class OpenMinutes:
    """The open minutes of all instruments."""

    def __init__(self, keep_ms: int, state: bytes | None = None) -> None:
        """Start with a saved state, or empty if there is none that can be read.

        Args:
            keep_ms: how long after its end late trades may change a minute, by the clock of its venue.
            state: of `snapshot`.
        """
        self._keep_ms = keep_ms
        self.late_counts = 0
        """Producer counts that arrived for dropped minutes."""
        self._state = OpenMinutesState.from_bytes(state)
        self.gaps = KnownGaps(self._state.gaps)
        self._liveness = ProducerLiveness(self._state.reported_ms)

    def snapshot(self) -> bytes:
        """Return the state."""
        return self._state.to_bytes()

    def clock_of(self, venue: str) -> LogClock:
        """Return how far the log of a venue was read."""
        return self._state.clocks.get(venue, LogClock())

    def apply(self, changes: Changes) -> None:
        """Apply the changes of a batch."""
        self._state.clocks = dict(changes.clocks)
        for instrument, candles in changes.candles.items():
            for minute_ms, one in candles.items():
                self._get_or_create(instrument, minute_ms).update(one)
        for instrument, missed in changes.missed.items():
            for minute_ms, number in missed.items():
                self._get_or_create(instrument, minute_ms).update_missed(number)
        for row in changes.producer_records.counts:
            self._apply_count(row, changes)
        for row in changes.producer_records.gaps:
            self._apply_gap(row, changes)
        for row in changes.producer_records.rejects:
            self._apply_reject(
                *reject_attribution.attribute_report(row.value or b"", row.timestamp_ms, self._venues(row, changes))
            )
        for row in changes.unreadable:
            self._apply_unreadable(row, changes)

    def _get_or_create(self, instrument: Instrument, minute_ms: int) -> MinuteState:
        minutes = self._state.minutes.setdefault(instrument, {})
        if minute_ms not in minutes:
            minutes[minute_ms] = MinuteState()
        return minutes[minute_ms]

    def _is_dropped(self, instrument: Instrument, minute_ms: int) -> bool:
        is_old = minute_ms < self._floor_ms(instrument)
        return is_old and minute_ms not in self._state.minutes.get(instrument, {})

    def _apply_count(self, row: LogRow, changes: Changes) -> None:
        try:
            count = reconciliation.Count.model_validate_json(row.value or b"")
        except ValueError:
            self._apply_unreadable(row, changes)
            return
        self._liveness.record_report(count.venue, count.producer, count.counted_at)
        instrument = count.instrument
        if self._is_dropped(instrument, count.minute):
            self.late_counts += 1
            return
        counts = self._get_or_create(instrument, count.minute).counts
        before = counts.get(count.producer, (0, 0))
        # Totals never decrease; a producer may send a report twice.
        counts[count.producer] = max(before[0], count.received), max(before[1], count.produced)

    def _apply_gap(self, row: LogRow, changes: Changes) -> None:
        try:
            gap = Gap.model_validate_json(row.value or b"")
        except ValueError:
            self._apply_unreadable(row, changes)
            return
        if not self.gaps.add(gap):
            return
        instrument = gap.instrument
        last_ms = gap.to_traded_at - gap.to_traded_at % candle.MINUTE_MS
        first_ms = max(gap.from_traded_at, last_ms - _MAX_REOPENED * candle.MINUTE_MS)
        touched = range(first_ms - first_ms % candle.MINUTE_MS, last_ms + 1, candle.MINUTE_MS)
        dropped = [minute_ms for minute_ms in touched if self._is_dropped(instrument, minute_ms)]
        if dropped:
            self._state.reopened.setdefault(instrument, []).extend(dropped)

    def _apply_unreadable(self, row: LogRow, changes: Changes) -> None:
        found = reject_attribution.attribute(
            row.value or b"", row.timestamp_ms, self._venues(row, changes), symbol=row.key
        )
        self._apply_reject(*found)

    def _venues(self, row: LogRow, changes: Changes) -> Collection[str]:
        """Return the venues that a record can be about: those of its topic's trades, or every known one."""
        return changes.topic_venues.get(row.topic) or changes.clocks.keys() or (names.VENUE,)

    def _apply_reject(self, instruments: list[Instrument], minute_ms: int) -> None:
        for instrument in instruments:
            at_ms = minute_ms
            if self._is_dropped(instrument, minute_ms):
                newest_ms = self.clock_of(instrument.venue).newest_ms
                at_ms = newest_ms - newest_ms % candle.MINUTE_MS
            self._get_or_create(instrument, at_ms).rejected += 1

    def stage_counts(self, instrument: Instrument, minute_ms: int, indexed: int) -> StageCounts:
        """Return the counts of a minute by stage.

        Args:
            instrument: whose minute.
            minute_ms: start of the minute, ms UTC.
            indexed: number of its documents in Elasticsearch.
        """
        minute = self._state.minutes[instrument][minute_ms]
        received = sum(number for number, _ in minute.counts.values())
        produced = sum(number for _, number in minute.counts.values())
        of_log = minute.logged, minute.distinct, minute.missed
        return StageCounts(
            received, produced, *of_log, indexed, minute.rejected, self.gaps.count(instrument, minute_ms)
        )

    def has_unacknowledged(self, venue: str, minute: MinuteState) -> bool:
        """Return whether a live producer has received more trades of a minute than Kafka has acknowledged."""
        return self._liveness.has_unacknowledged(venue, minute.counts)

    def items(self) -> Iterator[tuple[Instrument, int, MinuteState]]:
        """Yield every minute."""
        for instrument, minutes in self._state.minutes.items():
            for minute_ms, minute in minutes.items():
                yield instrument, minute_ms, minute

    def due(self, now_ms: int, recount_ms: int) -> list[tuple[Instrument, int, MinuteState]]:
        """Return the minutes to check: changed ones, ones not reconciled yet, and the others every `recount_ms`.

        Args:
            now_ms: local clock, ms UTC.
            recount_ms: interval between two checks of a reconciled minute.
        """
        return [
            (instrument, minute_ms, minute)
            for instrument, minute_ms, minute in self.items()
            if now_ms - minute.checked_ms >= self._check_interval_ms(instrument, minute_ms, minute, recount_ms)
        ]

    def _check_interval_ms(self, instrument: Instrument, minute_ms: int, minute: MinuteState, recount_ms: int) -> int:
        if not is_over(minute_ms, self.clock_of(instrument.venue).newest_ms):
            return recount_ms
        last = minute.last_counts
        if (
            last is None
            or last != self.stage_counts(instrument, minute_ms, last.indexed)
            or minute.state == ReconciliationState.OPEN
        ):
            return 0
        return min(_RECHECK_MS, recount_ms) if minute.state == ReconciliationState.INCOMPLETE else recount_ms

    def record_check(self, minute: MinuteState, counts: StageCounts, now_ms: int) -> int:
        """Record a check; return for how long the counts have not changed, ms."""
        if minute.last_counts != counts:
            minute.changed_ms = now_ms
        minute.last_counts, minute.checked_ms = counts, now_ms
        return now_ms - minute.changed_ms

    def reopened(self) -> list[tuple[Instrument, int]]:
        """Return the minutes that were dropped before a gap in them was known."""
        return [(instrument, minute_ms) for instrument, late in self._state.reopened.items() for minute_ms in late]

    def drop_finalised(self, now_ms: int) -> int:
        """Drop the minutes that can no longer change; return how many.

        Args:
            now_ms: local clock, ms UTC.
        """
        dropped = 0
        self._state.reopened.clear()
        self._liveness.drop(self._keep_ms)
        for instrument, minutes in list(self._state.minutes.items()):
            floor = self._floor_ms(instrument)
            done = [m for m, one in minutes.items() if m < floor and _is_stable(one, now_ms)]
            dropped += len(done)
            for minute_ms in done:
                del minutes[minute_ms]
            if not minutes:
                del self._state.minutes[instrument]
        self.gaps.drop_before(self._state.minutes, self._floor_ms)
        return dropped

    def _floor_ms(self, instrument: Instrument) -> int:
        """Return the start of the first minute that late trades can still change."""
        return first_changeable_ms(self.clock_of(instrument.venue).newest_ms, self._keep_ms)


def _is_stable(minute: MinuteState, now_ms: int) -> bool:
    return (
        minute.last_counts is not None
        and minute.state != ReconciliationState.OPEN
        and now_ms - minute.changed_ms > FINAL_AFTER_MS
    )

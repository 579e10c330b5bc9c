"""Holds the minutes whose predictions are scored, and selects those to count, to read and to drop.

Pure: changes of a batch in, times as arguments. What the log says comes back by a replay from a snapshot; results of
counts and reads may be lost. Memory is bounded: a minute is dropped once late trades can no longer change it and its
documents were counted, and have not changed for a while. Beyond that, only minutes stay whose documents are still to
come: as many as the trade query is behind the candle query. Minutes without trades are not held.
"""

from collections.abc import Collection, Iterator
from functools import partial
from itertools import takewhile
from typing import Final

from tapeline.instrument import Instrument
from tapeline.records import candle
from tapeline.records.gap import Gap, touches

from tapeline_spark.candles.listener import Changes, LogClock
from tapeline_spark.evaluation.minute import MinuteEvaluation
from tapeline_spark.evaluation.state import EvaluationState
from tapeline_spark.minutes.known_gaps import KnownGaps
from tapeline_spark.minutes.minute_trades import FINAL_AFTER_MS, first_changeable_ms, is_over

RECOUNT_MS: Final = 15_000
"""Time between two counts of a minute whose documents are not all in Elasticsearch, by the local clock."""

Minute = tuple[Instrument, int]
"""An instrument, and the start of a minute, ms UTC."""


class EvaluatedMinutes:
    """The minutes in evaluation of all instruments."""

    def __init__(self, keep_ms: int, state: bytes | None = None) -> None:
        """Start with a saved state, or empty if there is none that can be read.

        Args:
            keep_ms: how long after its end late trades may change a minute, by the clock of its venue.
            state: of `snapshot`.
        """
        self._keep_ms = keep_ms
        self._state = EvaluationState.from_bytes(state)
        self.gaps = KnownGaps(self._state.gaps)

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
                has_trades = one.trades or one.missed_trades
                if has_trades and self._get_or_create(instrument, minute_ms).update(one):
                    self._invalidate(instrument, minute_ms)
        for instrument, missed in changes.missed.items():
            for minute_ms, number in missed.items():
                if self._get_or_create(instrument, minute_ms).update_missed(number):
                    self._invalidate(instrument, minute_ms)
        for row in changes.producer_records.gaps:
            self._apply_gap(row.value)

    def _get_or_create(self, instrument: Instrument, minute_ms: int) -> MinuteEvaluation:
        minutes = self._state.minutes.setdefault(instrument, {})
        if minute_ms not in minutes:
            minutes[minute_ms] = MinuteEvaluation()
        return minutes[minute_ms]

    def _invalidate(self, instrument: Instrument, minute_ms: int) -> None:
        minutes = self._state.minutes[instrument]
        _invalidate_earlier_scores(minutes, minute_ms)
        minutes[minute_ms].invalidate_scores()
        minutes[minute_ms].invalidate_count()

    def _apply_gap(self, value: bytes | None) -> None:
        try:
            gap = Gap.model_validate_json(value or b"")
        except ValueError:
            # The trade query turns it into a reject, and the reconciler counts it as one.
            return
        if self.gaps.add(gap):
            _invalidate_scores_around(self._state.minutes.get(gap.instrument, {}), gap)

    def minutes_of(self, instrument: Instrument) -> dict[int, MinuteEvaluation]:
        """Return the minutes of an instrument by their start, ascending."""
        return dict(sorted(self._state.minutes.get(instrument, {}).items()))

    def items(self) -> Iterator[tuple[Minute, MinuteEvaluation]]:
        """Yield every minute."""
        for instrument, minutes in self._state.minutes.items():
            for minute_ms, minute in minutes.items():
                yield (instrument, minute_ms), minute

    def to_count(self, scored: Collection[Minute], now_ms: int) -> list[tuple[Minute, MinuteEvaluation]]:
        """Return the minutes whose documents must be counted, the longest uncounted ones first.

        A minute is counted when it is over, and again every RECOUNT_MS until its documents are all there.

        Args:
            scored: minutes whose scores are at hand.
            now_ms: local clock, ms UTC.
        """
        due = [
            (place, minute)
            for place, minute in self._unscored(scored)
            if not minute.is_indexed and (minute.indexed is None or now_ms - minute.counted_ms >= RECOUNT_MS)
        ]
        return sorted(due, key=lambda one: (one[1].counted_ms, one[0][1], one[0][0]))

    def to_read(self, scored: Collection[Minute]) -> list[tuple[Minute, MinuteEvaluation]]:
        """Return the minutes whose documents were counted, are all there, and must be read; oldest first.

        Args:
            scored: minutes whose scores are at hand.
        """
        ready = [(place, minute) for place, minute in self._unscored(scored) if minute.is_indexed]
        return sorted(ready, key=lambda one: (one[0][1], one[0][0]))

    def _unscored(self, scored: Collection[Minute]) -> Iterator[tuple[Minute, MinuteEvaluation]]:
        for place, minute in self.items():
            has_scores = minute.is_scored or (minute.boundary is not None and place in scored)
            if not has_scores and is_over(place[1], self.clock_of(place[0].venue).newest_ms):
                yield place, minute

    def is_changeable(self, venue: str, minute_ms: int) -> bool:
        """Return whether late trades can still change a minute of a venue."""
        return minute_ms >= self._floor_ms(venue)

    def _floor_ms(self, venue: str) -> int:
        """Return the start of the first minute that late trades can still change."""
        return first_changeable_ms(self.clock_of(venue).newest_ms, self._keep_ms)

    def drop_final(self, now_ms: int) -> list[Minute]:
        """Drop the minutes that can no longer change, and the gaps before the remaining ones; return those minutes.

        Args:
            now_ms: local clock, ms UTC.
        """
        dropped: list[Minute] = []
        for instrument, minutes in list(self._state.minutes.items()):
            # In order: an earlier minute must not find its next move behind a minute that is no longer known.
            final = list(takewhile(partial(self._is_final, instrument, now_ms), sorted(minutes)))
            dropped += [(instrument, minute_ms) for minute_ms in final]
            for minute_ms in final:
                del minutes[minute_ms]
            if not minutes:
                del self._state.minutes[instrument]
        self.gaps.drop_before(self._state.minutes, lambda instrument: self._floor_ms(instrument.venue))
        return dropped

    def _is_final(self, instrument: Instrument, now_ms: int, minute_ms: int) -> bool:
        minute = self._state.minutes[instrument][minute_ms]
        if self.is_changeable(instrument.venue, minute_ms) or minute.indexed is None:
            return False
        can_be_indexed = not minute.is_indexed and minute.is_behind
        return not can_be_indexed and now_ms - minute.changed_ms > FINAL_AFTER_MS


def _invalidate_scores_around(minutes: dict[int, MinuteEvaluation], gap: Gap) -> None:
    """Discard the boundaries of the minutes that a gap touches, and the scores of earlier minutes that depend on them.

    The last trade before the gap may lie in a minute that the gap does not touch.
    """
    _invalidate_earlier_scores(minutes, gap.from_traded_at - gap.from_traded_at % candle.MINUTE_MS)
    for minute_ms, minute in minutes.items():
        if touches(gap, minute_ms, minute_ms + candle.MINUTE_MS):
            minute.invalidate_scores()


def _invalidate_earlier_scores(minutes: dict[int, MinuteEvaluation], minute_ms: int) -> None:
    """Discard the scores of the minutes before `minute_ms` that depend on the minutes from there on."""
    if not any(one.boundary is not None for at_ms, one in minutes.items() if at_ms >= minute_ms):
        return
    for earlier_ms in sorted((one for one in minutes if one < minute_ms), reverse=True):
        earlier = minutes[earlier_ms]
        if not earlier.trades:
            continue
        if not earlier.is_scored and earlier.boundary is None:
            return
        earlier.is_scored = False
        # Its price changed, so predictions before this minute found their next move here.
        if earlier.boundary is None or earlier.boundary.second_price is not None:
            return

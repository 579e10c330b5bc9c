"""Gaps of each instrument's feed, kept as long as an open minute can touch one. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from tapeline.instrument import Instrument
from tapeline.records import candle
from tapeline.records.gap import Gap, touches


class KnownGap(msgspec.Struct):
    """A gap of an instrument's feed: identity, and the times of its two end trades, ms UTC."""

    identity: str
    from_traded_at: int
    to_traded_at: int


class KnownGaps:
    """Gaps by instrument."""

    def __init__(self, by_instrument: dict[Instrument, list[KnownGap]]) -> None:
        """Use `by_instrument`, which is changed in place."""
        self._by_instrument = by_instrument

    def add(self, gap: Gap) -> bool:
        """Add a gap; return whether it is new."""
        known = self._by_instrument.setdefault(gap.instrument, [])
        if any(other.identity == gap.identity() for other in known):
            return False
        known.append(KnownGap(gap.identity(), gap.from_traded_at, gap.to_traded_at))
        return True

    def of_instrument(self, instrument: Instrument) -> Sequence[KnownGap]:
        """Return the gaps of an instrument."""
        return self._by_instrument.get(instrument, ())

    def count(self, instrument: Instrument, minute_ms: int) -> int:
        """Return how many gaps touch a minute."""
        end_ms = minute_ms + candle.MINUTE_MS
        return sum(touches(gap, minute_ms, end_ms) for gap in self.of_instrument(instrument))

    def instruments(self) -> list[Instrument]:
        """Return the instruments with gaps."""
        return list(self._by_instrument)

    def drop_before(
        self, minutes: Mapping[Instrument, Iterable[int]], changeable_ms: Callable[[Instrument], int]
    ) -> None:
        """Drop the gaps that end before every minute that they may still touch.

        Args:
            minutes: starts of the minutes that are held of each instrument, ms UTC.
            changeable_ms: returns the start of an instrument's first minute that late trades can still change, ms UTC.
        """
        for instrument in self.instruments():
            before_ms = min([changeable_ms(instrument), *minutes.get(instrument, ())])
            kept = [gap for gap in self._by_instrument[instrument] if gap.to_traded_at >= before_ms]
            if kept:
                self._by_instrument[instrument] = kept
            else:
                del self._by_instrument[instrument]

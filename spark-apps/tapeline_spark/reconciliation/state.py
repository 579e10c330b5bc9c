"""State of all open minutes, and its saved form, in which instruments are text. Pure."""

from dataclasses import dataclass, field
from typing import Final, Self

import msgspec
from tapeline.instrument import Instrument

from tapeline_spark.candles.listener import LogClock
from tapeline_spark.minutes.known_gaps import KnownGap
from tapeline_spark.minutes.saved_state import by_instrument, by_text
from tapeline_spark.reconciliation.minute import MinuteState

_FORMAT: Final = 4
"""Raised whenever the meaning of the state changes; a state of another format is ignored."""


class OpenMinutesSnapshot(msgspec.Struct):
    """Saved form of the open minutes."""

    format: int = _FORMAT
    clocks: dict[str, LogClock] = {}
    minutes: dict[str, dict[int, MinuteState]] = {}
    gaps: dict[str, list[KnownGap]] = {}
    reported_ms: dict[str, dict[str, int]] = {}
    reopened: dict[str, list[int]] = {}


@dataclass(slots=True)
class OpenMinutesState:
    """State of all open minutes.

    Attributes:
        clocks: how far the log of each venue was read.
        minutes: by instrument and start of the minute.
        gaps: known gaps of each instrument.
        reported_ms: newest `counted_at` by venue and producer process, ms UTC.
        reopened: minutes that were dropped before a gap in them was known.
    """

    clocks: dict[str, LogClock] = field(default_factory=dict)
    minutes: dict[Instrument, dict[int, MinuteState]] = field(default_factory=dict)
    gaps: dict[Instrument, list[KnownGap]] = field(default_factory=dict)
    reported_ms: dict[str, dict[str, int]] = field(default_factory=dict)
    reopened: dict[Instrument, list[int]] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Return the saved form."""
        texts = by_text(self.minutes), by_text(self.gaps), self.reported_ms, by_text(self.reopened)
        return msgspec.msgpack.encode(OpenMinutesSnapshot(_FORMAT, self.clocks, *texts))

    @classmethod
    def from_bytes(cls, saved: bytes | None) -> Self:
        """Return a saved state, or an empty one if there is none that can be read."""
        try:
            found = msgspec.msgpack.decode(saved, type=OpenMinutesSnapshot) if saved else OpenMinutesSnapshot()
            if found.format != _FORMAT:
                return cls()
            minutes, gaps = by_instrument(found.minutes), by_instrument(found.gaps)
            return cls(found.clocks, minutes, gaps, found.reported_ms, by_instrument(found.reopened))
        except (msgspec.DecodeError, ValueError):
            return cls()

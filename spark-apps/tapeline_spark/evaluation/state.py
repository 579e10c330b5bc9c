"""State of all minutes in evaluation, and its saved form, in which instruments are text. Pure."""

from dataclasses import dataclass, field
from typing import Final, Self

import msgspec
from tapeline.instrument import Instrument

from tapeline_spark.candles.listener import LogClock
from tapeline_spark.evaluation.minute import MinuteEvaluation
from tapeline_spark.minutes.known_gaps import KnownGap
from tapeline_spark.minutes.saved_state import by_instrument, by_text

_FORMAT: Final = 1
"""Raised whenever the meaning of the state changes; a state of another format is ignored."""


class EvaluationSnapshot(msgspec.Struct):
    """Saved form of the minutes in evaluation."""

    format: int = _FORMAT
    clocks: dict[str, LogClock] = {}
    minutes: dict[str, dict[int, MinuteEvaluation]] = {}
    gaps: dict[str, list[KnownGap]] = {}


@dataclass(slots=True)
class EvaluationState:
    """State of all minutes in evaluation.

    Attributes:
        clocks: how far the log of each venue was read.
        minutes: by instrument and start of the minute.
        gaps: known gaps of each instrument.
    """

    clocks: dict[str, LogClock] = field(default_factory=dict)
    minutes: dict[Instrument, dict[int, MinuteEvaluation]] = field(default_factory=dict)
    gaps: dict[Instrument, list[KnownGap]] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Return the saved form."""
        return msgspec.msgpack.encode(
            EvaluationSnapshot(_FORMAT, self.clocks, by_text(self.minutes), by_text(self.gaps))
        )

    @classmethod
    def from_bytes(cls, saved: bytes | None) -> Self:
        """Return a saved state, or an empty one if there is none that can be read."""
        try:
            found = msgspec.msgpack.decode(saved, type=EvaluationSnapshot) if saved else EvaluationSnapshot()
            if found.format != _FORMAT:
                return cls()
            return cls(found.clocks, by_instrument(found.minutes), by_instrument(found.gaps))
        except (msgspec.DecodeError, ValueError):
            return cls()

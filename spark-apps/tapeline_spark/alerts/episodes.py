"""Tells a new finding from one that goes on. Pure.

A rule that holds in a minute and in the next ones has found one thing, not many: an episode lasts until the rule has
not held for the rule's rest, counted in minutes of the log.
"""

from typing import Final

import msgspec

_FORGET_MS: Final = 2 * 24 * 3_600_000


class _Episode(msgspec.Struct):
    began_ms: int
    last_ms: int


class _State(msgspec.Struct):
    episodes: dict[str, _Episode] = msgspec.field(default_factory=dict)
    trades_an_hour: dict[str, float] = msgspec.field(default_factory=dict)


class Episodes:
    """What is remembered of earlier minutes; all of it follows from the log."""

    def __init__(self, state: bytes | None = None) -> None:
        """Start with a saved state, or with nothing where there is none that can be read."""
        try:
            self._state = msgspec.msgpack.decode(state, type=_State) if state else _State()
        except (msgspec.DecodeError, msgspec.ValidationError):
            self._state = _State()

    def save(self, newest_ms: int) -> bytes:
        """Return all of it, without episodes that ended long before the newest trade."""
        floor = newest_ms - _FORGET_MS
        self._state.episodes = {k: one for k, one in self._state.episodes.items() if one.last_ms >= floor}
        return msgspec.msgpack.encode(self._state)

    def is_new(self, about: str, minute_ms: int, rest_ms: int) -> bool:
        """Return whether a minute in which a rule holds begins an episode.

        Args:
            about: rule and subject.
            minute_ms: start of the minute, ms UTC; mostly ascending, late trades go back.
            rest_ms: after so long without a finding the next one begins another.
        """
        known = self._state.episodes.get(about)
        if known is None or minute_ms > known.last_ms + rest_ms:
            self._state.episodes[about] = _Episode(minute_ms, minute_ms)
            return True
        if minute_ms < known.began_ms - rest_ms:
            # A late trade made one of the past; it is told under its own minute, and the present one goes on.
            return True
        known.began_ms, known.last_ms = min(known.began_ms, minute_ms), max(known.last_ms, minute_ms)
        return False

    def note_rate(self, subject: str, trades_an_hour: float) -> None:
        """Remember how much a symbol traded when it last did."""
        self._state.trades_an_hour[subject] = trades_an_hour

    def rate(self, subject: str) -> float:
        """Return how many trades an hour a symbol had when it last traded; 0 where it is not known for an hour."""
        return self._state.trades_an_hour.get(subject, 0.0)

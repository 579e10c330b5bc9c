"""Groups findings into episodes, so that a continuing condition is one alert. Pure.

An episode begins when a rule first holds and ends after the rule has not held for its `rest_ms`, by the minutes of the
log.
"""

from typing import Final

import msgspec

_MAX_AGE_MS: Final = 2 * 24 * 3_600_000


class _Episode(msgspec.Struct):
    began_ms: int
    last_ms: int


class _State(msgspec.Struct):
    episodes: dict[str, _Episode] = msgspec.field(default_factory=dict)
    trades_per_hour: dict[str, float] = msgspec.field(default_factory=dict)


class Episodes:
    """Open episodes and trade rates; all of it follows from the log."""

    def __init__(self, state: bytes | None = None) -> None:
        """Start with a saved state, or empty if there is none that can be read."""
        try:
            self._state = msgspec.msgpack.decode(state, type=_State) if state else _State()
        except (msgspec.DecodeError, msgspec.ValidationError):
            self._state = _State()

    def snapshot(self, newest_ms: int) -> bytes:
        """Return the state, without episodes that ended long before the newest trade."""
        floor = newest_ms - _MAX_AGE_MS
        self._state.episodes = {k: one for k, one in self._state.episodes.items() if one.last_ms >= floor}
        return msgspec.msgpack.encode(self._state)

    def is_new(self, episode_key: str, minute_ms: int, rest_ms: int) -> bool:
        """Return whether a minute in which a rule holds begins a new episode.

        Args:
            episode_key: rule and subject.
            minute_ms: start of the minute, ms UTC; mostly ascending; late trades go back.
            rest_ms: time without a finding that ends an episode.
        """
        known = self._state.episodes.get(episode_key)
        if known is None or minute_ms > known.last_ms + rest_ms:
            self._state.episodes[episode_key] = _Episode(minute_ms, minute_ms)
            return True
        if minute_ms < known.began_ms - rest_ms:
            # A late trade made an earlier episode: it is reported under its own minute, and the current one continues.
            return True
        known.began_ms, known.last_ms = min(known.began_ms, minute_ms), max(known.last_ms, minute_ms)
        return False

    def record_rate(self, subject: str, trades_per_hour: float) -> None:
        """Record the trade rate of a symbol at its last trade."""
        self._state.trades_per_hour[subject] = trades_per_hour

    def rate(self, subject: str) -> float:
        """Return the trades per hour of a symbol at its last trade; 0 with less than an hour of history."""
        return self._state.trades_per_hour.get(subject, 0.0)

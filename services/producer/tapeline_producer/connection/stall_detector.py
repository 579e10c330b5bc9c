"""When a connection is too silent, and how long to wait before the next one.

Pure: time and chance are arguments.
To change the patience: the constants here and PRODUCER_DATA_SILENCE_S, _RECONNECT_MIN_S, _RECONNECT_MAX_S.
"""

from collections.abc import Callable
from typing import Final

# Silence of this many mean intervals between frames is a stall, not a pause of the market.
_INTERVALS: Final = 50
# Even a connection of quiet symbols is renewed after this long: cheap, and it bounds an unseen stall.
_LONGEST_S: Final = 900.0
# The rate is that of about the last quarter of an hour: both sums are halved when it is over.
_MEMORY_S: Final = 900.0
# A connection that brought data for this long counts as healthy.
HEALTHY_S: Final = 10.0


class Silence:
    """A watch on data, at the rate of the connection itself; pongs do not wind it."""

    def __init__(self, minimum_s: float) -> None:
        """Start without any experience.

        Args:
            minimum_s: shortest silence that can be a stall.
        """
        self._minimum_s = minimum_s
        self._frames = 0.0
        self._connected_s = 0.0
        self._heard_at = 0.0
        self._strikes = 0

    def opened(self, now: float) -> None:
        """Note a fresh connection; the experience of earlier ones is kept."""
        self._heard_at = now

    def heard(self, now: float) -> None:
        """Note a frame with trades in it."""
        self._frames += 1
        self._connected_s += now - self._heard_at
        self._heard_at = now
        self._strikes = 0
        if self._connected_s > _MEMORY_S:
            self._connected_s /= 2
            self._frames /= 2

    def stalled(self) -> None:
        """Note that a stall was declared: if the next connection is silent too, the market is, so wait longer."""
        self._strikes += 1

    def silence_s(self, now: float) -> float:
        """Return the seconds since the last trade or the opening."""
        return now - self._heard_at

    def limit_s(self, now: float) -> float:
        """Return the silence, in seconds, that counts as a stall now."""
        mean_s = (self._connected_s + self.silence_s(now)) / (self._frames + 1)
        limit = max(self._minimum_s, _INTERVALS * mean_s) * 2.0**self._strikes
        return min(limit, max(_LONGEST_S, self._minimum_s))


class Backoff:
    """Pauses between connections: exponential, with full jitter above a least pause."""

    def __init__(self, least_s: float, most_s: float, chance: Callable[[], float]) -> None:
        """Start fresh.

        Args:
            least_s: shortest pause.
            most_s: longest pause.
            chance: gives a number in [0, 1), such as `random.random`.
        """
        self._least_s = least_s
        self._most_s = most_s
        self._chance = chance
        self._failures = 0

    def succeeded(self) -> None:
        """Start from the shortest pause again."""
        self._failures = 0

    def next_s(self) -> float:
        """Return the pause before the next attempt."""
        ceiling = min(self._most_s, self._least_s * 1.5 * 2.0 ** min(self._failures, 20))
        self._failures += 1
        return self._least_s + self._chance() * max(0.0, ceiling - self._least_s)

    def longest_s(self) -> float:
        """Return the pause after a refusal that means: come back much later."""
        self._failures += 1
        return self._most_s

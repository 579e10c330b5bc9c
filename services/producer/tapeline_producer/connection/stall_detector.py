"""Detects stalled connections relative to their own message rate.

Pure: time is an argument.
To change the limits: the constants here and PRODUCER_DATA_SILENCE_S.
"""

from typing import Final

# No message for this many mean intervals between messages is a stall, not a quiet market.
_INTERVALS: Final = 50
# A connection of quiet symbols is renewed after this long, too: cheap, and it bounds an undetected stall.
_MAX_TIMEOUT_S: Final = 900.0
# The rate covers about the last 15 minutes: both sums are halved when this time is over.
_RATE_WINDOW_S: Final = 900.0
# A connection that has delivered trades for this long counts as healthy.
HEALTHY_S: Final = 10.0


class StallDetector:
    """Measures the time without a trade against the connection's own rate. Pongs do not count as data."""

    def __init__(self, min_timeout_s: float) -> None:
        """Start without a known rate.

        Args:
            min_timeout_s: shortest time without a trade that counts as a stall.
        """
        self._min_timeout_s = min_timeout_s
        self._messages = 0.0
        self._connected_s = 0.0
        self._last_message_at = 0.0
        self._consecutive_stalls = 0

    def start_connection(self, now: float) -> None:
        """Start the clock of a new connection; the rate of earlier ones is kept."""
        self._last_message_at = now

    def record_message(self, now: float) -> None:
        """Record a message with trades."""
        self._messages += 1
        self._connected_s += now - self._last_message_at
        self._last_message_at = now
        self._consecutive_stalls = 0
        if self._connected_s > _RATE_WINDOW_S:
            self._connected_s /= 2
            self._messages /= 2

    def record_stall(self) -> None:
        """Record a stall: if the next connection is silent too, the market is quiet, so the time-out doubles."""
        self._consecutive_stalls += 1

    def silence_s(self, now: float) -> float:
        """Return the seconds since the last trade or the start of the connection."""
        return now - self._last_message_at

    def timeout_s(self, now: float) -> float:
        """Return the seconds without a trade that count as a stall now."""
        mean_s = (self._connected_s + self.silence_s(now)) / (self._messages + 1)
        timeout_s = max(self._min_timeout_s, _INTERVALS * mean_s) * 2.0**self._consecutive_stalls
        return min(timeout_s, max(_MAX_TIMEOUT_S, self._min_timeout_s))

"""Rate limit of REST requests by address, with a ban of fixed duration.

Pure: the caller passes the time. Source: https://bybit-exchange.github.io/docs/v5/rate-limit
"""

from collections import deque


class RateLimit:
    """Sliding window rate limit for each address.

    Args:
        requests: maximum requests of one address within the window.
        window_s: length of the window.
        ban_s: duration of the ban of an address above the limit.
    """

    def __init__(self, requests: int, window_s: float, ban_s: float) -> None:
        self._requests, self._window_s, self._ban_s = requests, window_s, ban_s
        self._sent: dict[str, deque[float]] = {}
        self._banned_until: dict[str, float] = {}

    def allows(self, address: str, now_s: float) -> bool:
        """Count a request and return whether it is allowed."""
        if now_s < self._banned_until.get(address, now_s):
            return False
        sent = self._sent.setdefault(address, deque())
        while sent and sent[0] <= now_s - self._window_s:
            sent.popleft()
        if len(sent) >= self._requests:
            self._banned_until[address] = now_s + self._ban_s
            sent.clear()
            return False
        sent.append(now_s)
        return True

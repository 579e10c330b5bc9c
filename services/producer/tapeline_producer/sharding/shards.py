"""Whose a symbol is: the symbols fall into shares, and a share is followed here or not.

Pure: time is an argument; membership.py hears from the group, roster.py follows the symbols.
A share is a partition of the assignments topic. Every replica puts a symbol into the same share, whatever else
it has selected. Alone there is one share, and it is ours.
To deal symbols out otherwise: `share_of`; all replicas must change at once.
"""

import zlib
from collections.abc import Iterable


def share_of(market_type: str, symbol: str, count: int) -> int:
    """Return the number of a symbol's share, in [0, count): CRC-32 of `market_type|symbol` modulo `count`."""
    return zlib.crc32(f"{market_type}|{symbol}".encode()) % count


class Shares:
    """Which shares this replica follows, and why."""

    def __init__(self, count: int, handover_s: float) -> None:
        """Start with none.

        Args:
            count: how many shares there are.
            handover_s: how long a share that another replica was given is followed at most.
        """
        self.count = count
        self._handover_s = handover_s
        self._given: set[int] = set()
        self._doubtful: set[int] = set()
        self._leaving: dict[int, float] = {}

    @property
    def own(self) -> set[int]:
        """The shares that are ours as far as we know; their holes are ours to report."""
        return self._given | self._doubtful

    @property
    def given(self) -> frozenset[int]:
        """The shares that the group says are ours."""
        return frozenset(self._given)

    @property
    def leaving(self) -> frozenset[int]:
        """The shares that are another's, and still followed until that one has taken them up."""
        return frozenset(self._leaving)

    def follows(self, market_type: str, symbol: str) -> bool:
        """Return whether a symbol is to be followed here."""
        share = share_of(market_type, symbol, self.count)
        return share in self._given or share in self._leaving or share in self._doubtful

    def reports(self, market_type: str, symbol: str) -> bool:
        """Return whether a symbol's holes are ours to report."""
        share = share_of(market_type, symbol, self.count)
        return share in self._given or share in self._doubtful

    def assigned(self, shares: Iterable[int], now: float) -> None:
        """Take shares; what was in doubt and is not among all that is ours now, is another's.

        Args:
            shares: what came to those we have.
            now: loop time, s.
        """
        self._given.update(shares)
        for share in self._given:
            self._leaving.pop(share, None)
        doubtful, self._doubtful = self._doubtful - self._given, set()
        self._leave(doubtful, now)

    def revoked(self, shares: Iterable[int], now: float) -> None:
        """Note shares that go to another replica, which is about to follow them."""
        self._given.difference_update(shares)
        self._leave(shares, now)

    def lost(self, shares: Iterable[int]) -> None:
        """Note shares of which the group may have thought otherwise while we did not hear from it."""
        self._given.difference_update(shares)
        self._doubtful.update(shares)

    def taken(self, shares: Iterable[int]) -> None:
        """Note shares that another replica follows now."""
        for share in shares:
            self._leaving.pop(share, None)

    def overdue(self, now: float) -> set[int]:
        """Forget the shares that nobody took up in time, and return them."""
        late = {share for share, until in self._leaving.items() if now >= until}
        self.taken(late)
        return late

    def _leave(self, shares: Iterable[int], now: float) -> None:
        self._leaving.update(dict.fromkeys(shares, now + self._handover_s))

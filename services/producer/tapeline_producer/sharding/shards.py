"""Maps instruments to shards and tracks which shards this replica owns.

Pure: time is an argument; group_member.py talks to the consumer group, coordinator.py subscribes the instruments.
A shard is a partition of the shards topic. Every replica maps an instrument to the same shard, whatever its selection.
A producer without a group has one shard and owns it.
To map instruments differently: `shard_of`; all replicas must change at once.
"""

import zlib
from collections.abc import Iterable

from tapeline.instrument import Instrument


def shard_of(instrument: Instrument, count: int) -> int:
    """Return the number of an instrument's shard, in [0, count): CRC-32 of its text modulo `count`."""
    return zlib.crc32(str(instrument).encode()) % count


class ShardMap:
    """The state of each shard that this replica subscribes: assigned, unconfirmed or draining."""

    def __init__(self, count: int, handover_s: float) -> None:
        """Start without a shard.

        Args:
            count: number of shards.
            handover_s: longest time that a shard drains, s.
        """
        self.count = count
        self._handover_s = handover_s
        self._assigned: set[int] = set()
        self._unconfirmed: set[int] = set()
        self._draining: dict[int, float] = {}

    @property
    def assigned(self) -> frozenset[int]:
        """The shards that the group assigns to this replica."""
        return frozenset(self._assigned)

    @property
    def owned(self) -> set[int]:
        """The assigned and the unconfirmed shards; this replica reports their gaps."""
        return self._assigned | self._unconfirmed

    @property
    def draining(self) -> frozenset[int]:
        """The shards of other replicas that stay subscribed here until their owner claims them."""
        return frozenset(self._draining)

    def includes(self, instrument: Instrument) -> bool:
        """Return whether this replica subscribes an instrument."""
        shard = shard_of(instrument, self.count)
        return shard in self._assigned or shard in self._draining or shard in self._unconfirmed

    def owns(self, instrument: Instrument) -> bool:
        """Return whether this replica reports an instrument's gaps."""
        shard = shard_of(instrument, self.count)
        return shard in self._assigned or shard in self._unconfirmed

    def mark_assigned(self, shards: Iterable[int], now: float) -> None:
        """Add assigned shards; an unconfirmed shard that is not assigned now belongs to another replica and drains.

        Args:
            shards: shards that the group adds to the assigned ones.
            now: loop time, s.
        """
        self._assigned.update(shards)
        for shard in self._assigned:
            self._draining.pop(shard, None)
        unconfirmed, self._unconfirmed = self._unconfirmed - self._assigned, set()
        self._drain(unconfirmed, now)

    def mark_revoked(self, shards: Iterable[int], now: float) -> None:
        """Drain shards that the group moves to another replica."""
        self._assigned.difference_update(shards)
        self._drain(shards, now)

    def mark_lost(self, shards: Iterable[int]) -> None:
        """Make shards unconfirmed: the group may have reassigned them while it was unreachable."""
        self._assigned.difference_update(shards)
        self._unconfirmed.update(shards)

    def mark_claimed(self, shards: Iterable[int]) -> None:
        """Drop draining shards that another replica claims."""
        for shard in shards:
            self._draining.pop(shard, None)

    def release_expired(self, now: float) -> set[int]:
        """Drop the draining shards that no replica claimed in time, and return them."""
        expired = {shard for shard, until in self._draining.items() if now >= until}
        self.mark_claimed(expired)
        return expired

    def _drain(self, shards: Iterable[int], now: float) -> None:
        self._draining.update(dict.fromkeys(shards, now + self._handover_s))

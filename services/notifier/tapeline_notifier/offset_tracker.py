"""Tracks the offset to commit: every alert below it is finalised for every target. Pure.

Kafka therefore keeps every alert that is not sent yet. Loss of the sent-log repeats only the alerts that were
finalised out of order.
"""

from collections import deque
from typing import NamedTuple


class Partition(NamedTuple):
    """A partition of a topic."""

    topic: str
    number: int


class OffsetTracker:
    """The records that are not finalised yet."""

    def __init__(self) -> None:
        """Start with no partitions."""
        self._order: dict[Partition, deque[int]] = {}
        self._open: dict[tuple[Partition, int], int] = {}
        self._positions: dict[str, list[tuple[Partition, int]]] = {}
        self._next: dict[Partition, int] = {}

    def __len__(self) -> int:
        return len(self._open)

    def add(self, partition: Partition, offset: int, alert_id: str, targets: int) -> None:
        """Add a record.

        Args:
            partition: partition of the record.
            offset: above all earlier offsets of this partition.
            alert_id: the alert in the record.
            targets: number of targets that must finalise the alert; 0 if none matches.
        """
        self._order.setdefault(partition, deque()).append(offset)
        if targets:
            self._open[partition, offset] = targets
            self._positions.setdefault(alert_id, []).append((partition, offset))

    def finalise(self, alert_id: str) -> None:
        """Record that one target finalised an alert, at each of its positions."""
        left = []
        for position in self._positions.pop(alert_id, []):
            self._open[position] -= 1
            if self._open[position]:
                left.append(position)
            else:
                del self._open[position]
        if left:
            self._positions[alert_id] = left

    def committable(self) -> dict[Partition, int]:
        """Return, by partition, the next offset to commit; only partitions that moved since the last call."""
        advanced = {}
        for partition, order in self._order.items():
            while order and (partition, order[0]) not in self._open:
                self._next[partition] = order.popleft() + 1
                advanced[partition] = self._next[partition]
        return advanced

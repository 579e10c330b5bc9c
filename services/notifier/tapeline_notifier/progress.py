"""How far each partition is done with: the offset below which every alert has been settled at every target. Pure.

Only that is committed to Kafka. So the log itself keeps what was not sent yet, and losing the sent-log doubles
no more than what was settled out of order.
"""

from collections import deque


class Progress:
    """Which records are under way."""

    def __init__(self) -> None:
        """Start with no partition known."""
        self._order: dict[int, deque[int]] = {}
        self._open: dict[tuple[int, int], int] = {}
        self._places: dict[str, list[tuple[int, int]]] = {}
        self._next: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._open)

    def read(self, partition: int, offset: int, alert_id: str, targets: int) -> None:
        """Take note of a record.

        Args:
            partition: where it stood.
            offset: above all before of this partition.
            alert_id: whose settlement it waits for.
            targets: how many must settle it; 0 for one that is nobody's.
        """
        self._order.setdefault(partition, deque()).append(offset)
        if targets:
            self._open[partition, offset] = targets
            self._places.setdefault(alert_id, []).append((partition, offset))

    def settle(self, alert_id: str) -> None:
        """Take note that one target is done with an alert, wherever it stood."""
        left = []
        for place in self._places.pop(alert_id, []):
            self._open[place] -= 1
            if self._open[place]:
                left.append(place)
            else:
                del self._open[place]
        if left:
            self._places[alert_id] = left

    def done(self) -> dict[int, int]:
        """Return, by partition, the next offset to read for who starts anew; only what moved since the last call."""
        moved = {}
        for partition, order in self._order.items():
            while order and (partition, order[0]) not in self._open:
                self._next[partition] = order.popleft() + 1
                moved[partition] = self._next[partition]
        return moved

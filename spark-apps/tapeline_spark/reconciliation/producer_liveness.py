"""Decides which producer processes are alive, by the times of their count reports. Pure."""

from collections.abc import Mapping
from typing import Final

_TIMEOUT_MS: Final = 30_000
"""A producer counts as dead this long behind the newest report of any producer."""


class ProducerLiveness:
    """Newest report of each producer process."""

    def __init__(self, reported_ms: dict[str, int]) -> None:
        """Use `reported_ms`, which is changed in place."""
        self._reported_ms = reported_ms

    def record_report(self, producer: str, counted_at_ms: int) -> None:
        """Record the time of a report, ms UTC."""
        process = _process_of(producer)
        self._reported_ms[process] = max(self._reported_ms.get(process, 0), counted_at_ms)

    def has_unacknowledged(self, counts: Mapping[str, tuple[int, int]]) -> bool:
        """Return whether a live producer has received more trades than Kafka has acknowledged.

        Args:
            counts: (received, produced) by producer.
        """
        alive_since = max(self._reported_ms.values(), default=0) - _TIMEOUT_MS
        return any(
            received > produced and self._reported_ms.get(_process_of(producer), 0) >= alive_since
            for producer, (received, produced) in counts.items()
        )

    def drop(self, age_ms: int) -> None:
        """Drop producers whose last report is older than the newest one by more than `age_ms`."""
        floor = max(self._reported_ms.values(), default=0) - age_ms
        for process in [process for process, at_ms in self._reported_ms.items() if at_ms < floor]:
            del self._reported_ms[process]


def _process_of(producer: str) -> str:
    return producer.partition(".")[0]

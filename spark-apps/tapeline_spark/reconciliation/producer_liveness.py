"""Decides which producer processes are alive, by the times of their count reports. Pure.

Each venue's reports are compared with each other alone: one venue's reports can be read hours after another's.
"""

from collections.abc import Mapping
from typing import Final

_TIMEOUT_MS: Final = 30_000
"""A producer counts as dead this long behind the newest report of its venue."""


class ProducerLiveness:
    """Newest report of each producer process of each venue."""

    def __init__(self, reported_ms: dict[str, dict[str, int]]) -> None:
        """Use `reported_ms`, which is changed in place."""
        self._reported_ms = reported_ms

    def record_report(self, venue: str, producer: str, counted_at_ms: int) -> None:
        """Record the time of a report, ms UTC."""
        reported_ms, process = self._reported_ms.setdefault(venue, {}), _process_of(producer)
        reported_ms[process] = max(reported_ms.get(process, 0), counted_at_ms)

    def has_unacknowledged(self, venue: str, counts: Mapping[str, tuple[int, int]]) -> bool:
        """Return whether a live producer has received more trades than Kafka has acknowledged.

        Args:
            venue: of the producers.
            counts: (received, produced) by producer.
        """
        reported_ms = self._reported_ms.get(venue, {})
        alive_since = max(reported_ms.values(), default=0) - _TIMEOUT_MS
        return any(
            received > produced and reported_ms.get(_process_of(producer), 0) >= alive_since
            for producer, (received, produced) in counts.items()
        )

    def drop(self, age_ms: int) -> None:
        """Drop producers whose last report is older than the newest one of the venue by more than `age_ms`."""
        for venue, reported_ms in self._reported_ms.items():
            floor = max(reported_ms.values()) - age_ms
            self._reported_ms[venue] = {process: at_ms for process, at_ms in reported_ms.items() if at_ms >= floor}


def _process_of(producer: str) -> str:
    return producer.partition(".")[0]

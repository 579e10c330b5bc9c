"""Queues the alerts of one target: grouping, cool-down, age. Pure; times are arguments.

A message is due when an alert whose subject (rule and symbol) is not in cool-down has waited `group_wait_s`. The
message takes every alert that is not in cool-down. An alert in cool-down is sent when its cool-down ends; all alerts
of one subject then go in one message.
"""

from collections.abc import Iterable, Mapping

from tapeline.records.alert import Alert

from tapeline_notifier.message import subject


class Outbox:
    """The queued alerts of one target, in order of arrival."""

    def __init__(
        self, group_wait_s: float, cool_down_s: float, most_alerts: int, sent_at_ms: Mapping[str, int]
    ) -> None:
        """Start empty.

        Args:
            group_wait_s: how long the first alert waits for others.
            cool_down_s: how long a subject stays silent after a message about it.
            most_alerts: maximum alerts per message.
            sent_at_ms: by subject, when its last message was sent.
        """
        self._group_wait_ms = round(group_wait_s * 1000)
        self._cool_down_ms = round(cool_down_s * 1000)
        self._most = most_alerts
        self._sent_at_ms = dict(sent_at_ms)
        self._queued: dict[str, tuple[int, Alert]] = {}

    def __len__(self) -> int:
        return len(self._queued)

    def __contains__(self, alert_id: str) -> bool:
        return alert_id in self._queued

    def add(self, alert: Alert, now_ms: int) -> None:
        """Queue an alert; an alert that is queued already keeps its position."""
        self._queued.setdefault(alert.alert_id, (now_ms, alert))

    def due(self, now_ms: int) -> list[Alert]:
        """Return the alerts of the next message, empty if none is due; they stay queued until `remove`."""
        ready = [
            (queued_ms, alert)
            for queued_ms, alert in self._queued.values()
            if self._eligible_at(alert, queued_ms) <= now_ms
        ]
        if not ready or min(self._due_at(alert, queued_ms) for queued_ms, alert in ready) > now_ms:
            return []
        return [alert for _, alert in ready[: self._most]]

    def next_due_at_ms(self) -> int | None:
        """Return when the next alert becomes due, None when none is queued."""
        return min((self._due_at(alert, queued_ms) for queued_ms, alert in self._queued.values()), default=None)

    def remove(self, alerts: Iterable[Alert]) -> None:
        """Remove alerts from the queue."""
        for alert in alerts:
            self._queued.pop(alert.alert_id, None)

    def expired(self, now_ms: int, max_age_s: float) -> list[Alert]:
        """Return the queued alerts that are older than `max_age_s`."""
        oldest_ms = now_ms - round(max_age_s * 1000)
        return [alert for _, alert in self._queued.values() if alert.raised_at < oldest_ms]

    def start_cool_down(self, alerts: Iterable[Alert], now_ms: int) -> None:
        """Start the cool-down of the subjects of these alerts."""
        for alert in alerts:
            self._sent_at_ms[subject(alert)] = now_ms
        if len(self._sent_at_ms) > 10_000:
            self._sent_at_ms = {k: at for k, at in self._sent_at_ms.items() if at + self._cool_down_ms > now_ms}

    def _eligible_at(self, alert: Alert, queued_ms: int) -> int:
        """Return when an alert may join a message."""
        sent_ms = self._sent_at_ms.get(subject(alert))
        return queued_ms if sent_ms is None else max(queued_ms, sent_ms + self._cool_down_ms)

    def _due_at(self, alert: Alert, queued_ms: int) -> int:
        """Return when an alert makes a message due."""
        return max(queued_ms + self._group_wait_ms, self._eligible_at(alert, queued_ms))

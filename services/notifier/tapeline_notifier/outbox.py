"""What waits for one target, and when it may go: grouping, cool-down, age. Pure; times come in as arguments.

An alert goes when its subject (rule and symbol) is not cooling down and the oldest that may go has waited
`group_wait_s`; with it goes everything else that may. What a cool-down holds back is not lost: it goes when that
ends, all of it in one message.
"""

from collections.abc import Iterable, Mapping

from tapeline.records.alert import Alert

from tapeline_notifier.message import subject


class Outbox:
    """The alerts of one target that no message has taken along yet, in the order they came."""

    def __init__(
        self, group_wait_s: float, cool_down_s: float, most_alerts: int, sent_at_ms: Mapping[str, int]
    ) -> None:
        """Start empty.

        Args:
            group_wait_s: how long the first alert waits for company.
            cool_down_s: how long a subject rests after a message about it.
            most_alerts: in one message.
            sent_at_ms: of each subject, when a message about it was last sent.
        """
        self._group_wait_ms = round(group_wait_s * 1000)
        self._cool_down_ms = round(cool_down_s * 1000)
        self._most = most_alerts
        self._sent_at_ms = dict(sent_at_ms)
        self._waiting: dict[str, tuple[int, Alert]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, alert_id: str) -> bool:
        return alert_id in self._waiting

    def add(self, alert: Alert, now_ms: int) -> None:
        """Let an alert wait; one that waits already is left where it is."""
        self._waiting.setdefault(alert.alert_id, (now_ms, alert))

    def due(self, now_ms: int) -> list[Alert]:
        """Return the alerts of the next message, empty if none may go yet; they go on waiting until `take`."""
        ready = [(came, alert) for came, alert in self._waiting.values() if self._may_go_at(alert, came) <= now_ms]
        if not ready or min(self._goes_at(came, alert) for came, alert in ready) > now_ms:
            return []
        return [alert for _, alert in ready[: self._most]]

    def next_at_ms(self) -> int | None:
        """Return when something becomes due, None when nothing waits."""
        return min((self._goes_at(came, alert) for came, alert in self._waiting.values()), default=None)

    def take(self, alerts: Iterable[Alert]) -> None:
        """Take along what a message holds now."""
        for alert in alerts:
            self._waiting.pop(alert.alert_id, None)

    def too_old(self, now_ms: int, max_age_s: float) -> list[Alert]:
        """Return the alerts that nobody wants to hear any more."""
        oldest_ms = now_ms - round(max_age_s * 1000)
        return [alert for _, alert in self._waiting.values() if alert.raised_at < oldest_ms]

    def sent(self, alerts: Iterable[Alert], now_ms: int) -> None:
        """Begin the cool-down of everything a message was about."""
        for alert in alerts:
            self._sent_at_ms[subject(alert)] = now_ms
        if len(self._sent_at_ms) > 10_000:
            self._sent_at_ms = {k: at for k, at in self._sent_at_ms.items() if at + self._cool_down_ms > now_ms}

    def _may_go_at(self, alert: Alert, came_ms: int) -> int:
        """Return when an alert may go along with others."""
        sent_ms = self._sent_at_ms.get(subject(alert))
        return came_ms if sent_ms is None else max(came_ms, sent_ms + self._cool_down_ms)

    def _goes_at(self, came_ms: int, alert: Alert) -> int:
        """Return when an alert goes by itself."""
        return max(came_ms + self._group_wait_ms, self._may_go_at(alert, came_ms))

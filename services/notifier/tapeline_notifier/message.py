"""From alerts to what is sent: the text for people, the JSON for programs, and its identity. Pure."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from tapeline.records.alert import Alert

# Telegram counts UTF-16 units.
TELEGRAM_UNITS: Final = 4096
_MARKS: Final = {"info": "i", "warning": "!", "critical": "!!"}
_REPEAT: Final = "(Perhaps sent before: the first try ended without an answer.)"


@dataclass(frozen=True)
class Message:
    """What is sent in one request.

    Attributes:
        message_id: the same for the same alerts to the same target, so that a receiver can tell a repetition.
        alerts: in the order they came, at least one.
    """

    message_id: str
    alerts: tuple[Alert, ...]

    @classmethod
    def of(cls, target: str, alerts: Sequence[Alert]) -> "Message":
        """Put alerts into one message to a target."""
        told = "\n".join((target, *(alert.alert_id for alert in alerts)))
        return cls(hashlib.sha256(told.encode()).hexdigest()[:32], tuple(alerts))


def text(message: Message, limit_units: int = TELEGRAM_UNITS, is_repeat: bool = False) -> str:
    """Return a message as people read it: one line an alert, never more than the limit.

    Args:
        message: what to say.
        limit_units: most UTF-16 units; alerts beyond are counted instead of told.
        is_repeat: an earlier try may have arrived.
    """
    lines = [_line(alert) for alert in message.alerts]
    end = [_REPEAT] if is_repeat else []
    for told in range(len(lines), 0, -1):
        left = len(lines) - told
        more = [f"... and {left} more, in tapeline-alerts."] if left else []
        whole = "\n".join((*lines[:told], *more, *end))
        if _units(whole) <= limit_units:
            return whole
    return _cut("\n".join((*end, lines[0])), limit_units)


def body(message: Message) -> bytes:
    """Return a message as programs read it; the same bytes for the same message, whenever it is sent again."""
    content = {
        "message_id": message.message_id,
        "text": text(message),
        "alerts": [alert.model_dump(mode="json") for alert in message.alerts],
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def subject(alert: Alert) -> str:
    """Return what a cool-down is about: a rule and whom it found."""
    return "|".join((alert.rule, alert.market_type or "", alert.symbol or alert.model_digest or ""))


def _line(alert: Alert) -> str:
    when = datetime.fromtimestamp(alert.began_at / 1000, tz=UTC)
    about = " ".join(part for part in (alert.market_type, alert.symbol) if part) or "model"
    said = " ".join(alert.message.split())
    return f"[{_MARKS[alert.severity]}] {when:%Y-%m-%d %H:%M} UTC  {about}  {alert.rule}: {said}"


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _cut(text: str, units: int) -> str:
    raw = text.encode("utf-16-le")[: units * 2]
    return raw.decode("utf-16-le", errors="ignore")

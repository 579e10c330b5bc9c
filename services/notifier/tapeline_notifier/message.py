"""Parses alerts and builds messages from them: text for chats, JSON for webhooks, and the message id. Pure."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from tapeline.enums import Severity
from tapeline.instrument import Instrument, instrument_of
from tapeline.records.alert import Alert

# Telegram limits the text in UTF-16 code units.
TELEGRAM_UNITS: Final = 4096
_MARKS: Final = {Severity.INFO: "i", Severity.WARNING: "!", Severity.CRITICAL: "!!"}
_REPEAT: Final = "(Perhaps sent before: the first attempt ended without a response.)"


@dataclass(frozen=True)
class Message:
    """The content of one request.

    Attributes:
        message_id: equal for the same alerts to the same target, so that a receiver can deduplicate.
        alerts: in order of arrival, at least one.
    """

    message_id: str
    alerts: tuple[Alert, ...]

    @classmethod
    def from_alerts(cls, target: str, alerts: Sequence[Alert]) -> "Message":
        """Create the message that holds these alerts, for one target."""
        identity = "\n".join((target, *(alert.alert_id for alert in alerts)))
        return cls(hashlib.sha256(identity.encode()).hexdigest()[:32], tuple(alerts))


def parse_alert(value: bytes) -> Alert:
    """Return the alert of a record.

    Raises:
        ValueError: not an alert, or an alert about what is no instrument.
    """
    alert = Alert.model_validate_json(value)
    _instrument_of(alert)
    return alert


def text(message: Message, limit_units: int = TELEGRAM_UNITS, is_repeat: bool = False) -> str:
    """Return the chat text of a message: one line per alert, never longer than the limit.

    Args:
        message: the message.
        limit_units: maximum length in UTF-16 code units; alerts that do not fit are only counted.
        is_repeat: an earlier attempt may have arrived.
    """
    lines = [_line(alert) for alert in message.alerts]
    end = [_REPEAT] if is_repeat else []
    for shown in range(len(lines), 0, -1):
        left = len(lines) - shown
        more = [f"... and {left} more, in tapeline-alerts."] if left else []
        whole = "\n".join((*lines[:shown], *more, *end))
        if _units(whole) <= limit_units:
            return whole
    return _truncate("\n".join((*end, lines[0])), limit_units)


def body(message: Message) -> bytes:
    """Return the JSON body of a message; repeated sends of a message have the same bytes."""
    content = {
        "message_id": message.message_id,
        "text": text(message),
        "alerts": [alert.model_dump(mode="json") for alert in message.alerts],
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def subject(alert: Alert) -> str:
    """Return the key of a cool-down: rule, and instrument or model."""
    return f"{alert.rule}|{_instrument_of(alert) or alert.model_digest or ''}"


def _instrument_of(alert: Alert) -> Instrument | None:
    if alert.market_type is None or alert.symbol is None:
        return None
    return instrument_of(alert.venue, alert.market_type, alert.symbol)


def _line(alert: Alert) -> str:
    when = datetime.fromtimestamp(alert.began_at / 1000, tz=UTC)
    about = _instrument_of(alert) or "model"
    detail = " ".join(alert.message.split())
    return f"[{_MARKS[alert.severity]}] {when:%Y-%m-%d %H:%M} UTC  {about}  {alert.rule}: {detail}"


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _truncate(text: str, units: int) -> str:
    raw = text.encode("utf-16-le")[: units * 2]
    return raw.decode("utf-16-le", errors="ignore")

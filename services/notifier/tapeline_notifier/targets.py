"""Loads and validates the targets file: recipients of alerts and their filters.

    targets:
      - name: phone
        kind: telegram
        token_file: /run/secrets/telegram/token
        chat_id: "-1001234567890"
        least_severity: warning
      - name: operations
        kind: webhook
        url_file: /run/secrets/operations/url
        key_file: /run/secrets/operations/key

Secrets are files, read for each request, so that a changed secret needs no restart.
To add a kind of target: a class here, in Target, and its request in requests.py.
"""

from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tapeline.enums import AlertKind, Severity
from tapeline.records.alert import Alert

from tapeline_notifier.errors import SecretUnusable, TargetsUnusable

SEVERITIES: Final = tuple(Severity)


class _Target(BaseModel):
    """Fields of every target."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    """Name in logs, metrics and the sent-log; after a rename every alert counts as not sent."""
    least_severity: Severity = Severity.INFO
    """Alerts below this severity are not sent."""
    kinds: tuple[AlertKind, ...] = tuple(AlertKind)
    """Alerts of other kinds are not sent."""
    group_wait_s: Annotated[float, Field(ge=0, le=3600)] = 2.0
    """How long the first alert waits for others, to share one message."""
    cool_down_s: Annotated[float, Field(ge=0, le=86_400)] = 300.0
    """After a message about a rule and instrument, later alerts of both wait this long, then share one message."""
    most_alerts: Annotated[int, Field(ge=1, le=100)] = 20
    """Maximum alerts per message; the rest goes in the next message."""
    pause_s: Annotated[float, Field(ge=0, le=60)] = 1.0
    """Minimum delay between two messages."""

    def matches(self, alert: Alert) -> bool:
        """Return whether severity and kind of an alert match this target."""
        is_severe_enough = SEVERITIES.index(alert.severity) >= SEVERITIES.index(self.least_severity)
        return is_severe_enough and alert.kind in self.kinds


class Telegram(_Target):
    """A Telegram chat, reached through the Bot API."""

    kind: Literal["telegram"]
    token_file: Path
    """File with the bot's token."""
    chat_id: Annotated[str, Field(pattern=r"^(-?\d{1,19}|@\w{5,32})$")]
    """Number of the chat, in quotes, or @name of a channel."""
    api_url: Annotated[str, Field(pattern=r"^https?://[^/@\s]+$")] = "https://api.telegram.org"
    """Base URL of the Bot API; change it for a self-hosted server."""
    # Telegram allows 20 messages a minute in a group.
    pause_s: Annotated[float, Field(ge=0, le=60)] = 3.0


class Webhook(_Target):
    """An HTTP address that accepts JSON by POST."""

    kind: Literal["webhook"]
    url_file: Path
    """File with the address, https or http; the address usually is the credential."""
    key_file: Path | None = None
    """File with the signing key; None: requests are not signed. See requests.py."""


Target = Annotated[Telegram | Webhook, Field(discriminator="kind")]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    targets: Annotated[tuple[Target, ...], Field(min_length=1)]


def load(path: Path) -> tuple[Telegram | Webhook, ...]:
    """Load the targets file.

    Raises:
        TargetsUnusable: the file cannot be read or is invalid; the message names each broken field.
    """
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise TargetsUnusable(path, getattr(error, "strerror", None) or "not UTF-8") from None
    except yaml.YAMLError as error:
        raise TargetsUnusable(path, " ".join(str(error).split())) from None
    try:
        targets = _File.model_validate(content).targets
    except ValidationError as error:
        # Without the given values: a token in the wrong field would be logged.
        broken = [f"{'.'.join(map(str, each['loc'])) or 'the file'}: {each['msg']}" for each in error.errors()]
        raise TargetsUnusable(path, "; ".join(broken)) from None
    target_names = [target.name for target in targets]
    if len(set(target_names)) < len(target_names):
        raise TargetsUnusable(path, f"names were {', '.join(target_names)}; each name may occur once")
    return targets


def read_secret(path: Path, field: str) -> str:
    """Return the only line of a secret file.

    Raises:
        SecretUnusable: the file cannot be read, is empty, or has more than one line.
    """
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretUnusable(field, path, getattr(error, "strerror", None) or "not UTF-8") from None
    if not text or not text.isprintable() or not text.isascii():
        raise SecretUnusable(field, path, "empty, more than one line, or not printable ASCII")
    return text

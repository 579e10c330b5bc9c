"""Whom to tell of what: the file of targets, validated.

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

Secrets are only ever files, read anew for each request, so that a changed one needs no restart.
To add a kind of target: a class here, in Target, and how it is asked in requests.py.
"""

from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tapeline.records.alert import KINDS, Alert

from tapeline_notifier.errors import SecretUnusable, TargetsUnusable

SEVERITIES: Final = ("info", "warning", "critical")

_Kind = Literal["price_move", "volume_burst", "silent_symbol", "feed_gap", "model_below_prior", "model_expired"]


class _Target(BaseModel):
    """What every target has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    """In logs, metrics and the sent-log; under another name everything counts as not yet sent."""
    least_severity: Literal["info", "warning", "critical"] = "info"
    """Alerts below are not for this target."""
    kinds: tuple[_Kind, ...] = KINDS
    """Alerts of other kinds are not for this target."""
    group_wait_s: Annotated[float, Field(ge=0, le=3600)] = 2.0
    """How long the first alert waits for others, to go with it in one message."""
    cool_down_s: Annotated[float, Field(ge=0, le=86_400)] = 300.0
    """After a message about a rule and symbol, later alerts of the two wait so long, and then go together."""
    most_alerts: Annotated[int, Field(ge=1, le=100)] = 20
    """In one message; the rest goes in the next."""
    pause_s: Annotated[float, Field(ge=0, le=60)] = 1.0
    """Between two messages."""

    def wants(self, alert: Alert) -> bool:
        """Return whether an alert is for this target."""
        loud = SEVERITIES.index(alert.severity) >= SEVERITIES.index(self.least_severity)
        return loud and alert.kind in self.kinds


class Telegram(_Target):
    """A chat, through Telegram's Bot API."""

    kind: Literal["telegram"]
    token_file: Path
    """File with the bot's token."""
    chat_id: Annotated[str, Field(pattern=r"^(-?\d{1,19}|@\w{5,32})$")]
    """Number of the chat, in quotes, or @name of a channel."""
    api_url: Annotated[str, Field(pattern=r"^https?://[^/@\s]+$")] = "https://api.telegram.org"
    """Base of the Bot API, such as that of a server of one's own."""
    # Telegram lets 20 messages a minute into a group.
    pause_s: Annotated[float, Field(ge=0, le=60)] = 3.0


class Webhook(_Target):
    """An address that takes JSON over POST."""

    kind: Literal["webhook"]
    url_file: Path
    """File with the address, https or http: whoever knows it may usually write there."""
    key_file: Path | None = None
    """File with a key; requests are then signed with it, see requests.py."""


Target = Annotated[Telegram | Webhook, Field(discriminator="kind")]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    targets: Annotated[tuple[Target, ...], Field(min_length=1)]


def load(path: Path) -> tuple[Telegram | Webhook, ...]:
    """Return the targets of a file.

    Raises:
        TargetsUnusable: it cannot be read, or breaks a rule; the message names each.
    """
    try:
        found: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise TargetsUnusable(path, getattr(error, "strerror", None) or "not UTF-8") from None
    except yaml.YAMLError as error:
        raise TargetsUnusable(path, " ".join(str(error).split())) from None
    try:
        targets = _File.model_validate(found).targets
    except ValidationError as error:
        # Not what was given: a token in the wrong place would end in the log.
        broken = [f"{'.'.join(map(str, each['loc'])) or 'the file'}: {each['msg']}" for each in error.errors()]
        raise TargetsUnusable(path, "; ".join(broken)) from None
    given = [target.name for target in targets]
    if len(set(given)) < len(given):
        raise TargetsUnusable(path, f"names were {', '.join(given)}; each may stand once")
    return targets


def secret(path: Path, field: str) -> str:
    """Return the one line of a file, as it is now.

    Raises:
        SecretUnusable: it cannot be read, is empty, or holds more.
    """
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretUnusable(field, path, getattr(error, "strerror", None) or "not UTF-8") from None
    if not text or not text.isprintable() or not text.isascii():
        raise SecretUnusable(field, path, "empty, more than one line, or other signs than ASCII's")
    return text

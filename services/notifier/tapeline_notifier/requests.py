"""The request that takes a message to a target, and what its answer means; secrets are read from their files.

To add a kind of target: a branch in `request_of`, and one in `verdict` where its answers say more than their status.
Source: https://core.telegram.org/bots/api#making-requests , #responseparameters , #sendmessage
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from tapeline_notifier import message as messages
from tapeline_notifier.errors import SecretUnusable
from tapeline_notifier.message import Message
from tapeline_notifier.targets import Telegram, Webhook, secret

_JSON: Final = "application/json"
SIGNATURE: Final = "X-Tapeline-Signature"
_PASSING: Final = frozenset({408, 425, 429})
# A server that asks for more patience than this is not believed: retries are cheap.
_LONGEST_WAIT_S: Final = 3600.0


@dataclass(frozen=True)
class Request:
    """One POST. Its address may hold a secret, so it is not shown."""

    url: str = field(repr=False)
    content: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Verdict:
    """What a try came to.

    Attributes:
        outcome: `sent`; `busy`: later, nothing is wrong; `failed`: later, and the message may have arrived;
            `refused`: a person must look.
        reason: in the target's words; empty where it was sent.
        wait_s: how long the target asked to be left alone, None if it did not.
    """

    outcome: Literal["sent", "busy", "failed", "refused"]
    reason: str = ""
    wait_s: float | None = None


def request_of(target: Telegram | Webhook, message: Message, is_repeat: bool) -> Request:
    """Return the request that takes a message to a target.

    Args:
        target: to whom.
        message: what.
        is_repeat: an earlier try may have arrived; people are told, programs know by the Idempotency-Key.

    Raises:
        SecretUnusable: a file of the target's cannot be read now.
    """
    if isinstance(target, Telegram):
        token = secret(target.token_file, f"token_file of {target.name}")
        told = {"chat_id": target.chat_id, "text": messages.text(message, is_repeat=is_repeat)}
        more = {"link_preview_options": {"is_disabled": True}}
        content = json.dumps(told | more, ensure_ascii=False).encode()
        return Request(f"{target.api_url}/bot{token}/sendMessage", content, {"Content-Type": _JSON})
    address = secret(target.url_file, f"url_file of {target.name}")
    if not _is_address(address):
        raise SecretUnusable(f"url_file of {target.name}", target.url_file, "no http or https address")
    content = messages.body(message)
    headers = {"Content-Type": _JSON, "Idempotency-Key": message.message_id}
    if target.key_file is not None:
        key = secret(target.key_file, f"key_file of {target.name}").encode()
        headers[SIGNATURE] = f"sha256={hmac.new(key, content, hashlib.sha256).hexdigest()}"
    return Request(address, content, headers)


def verdict(target: Telegram | Webhook, status: int, headers: Mapping[str, str], content: bytes) -> Verdict:
    """Return what an answer means.

    Args:
        target: who gave it.
        status: of HTTP.
        headers: by lower-case name.
        content: the beginning of the body is enough.
    """
    told = _told(content) if isinstance(target, Telegram) else {}
    reason = f"status {status} {told.get('description', '')}".strip()
    if 200 <= status < 300:
        if isinstance(target, Telegram) and told.get("ok") is not True:
            return Verdict("refused", f"{reason}: no answer of the Bot API")
        return Verdict("sent")
    wait_s = _wait_s(told.get("parameters"), headers.get("retry-after"))
    if status in _PASSING:
        return Verdict("busy", reason, wait_s)
    if status >= 500:
        return Verdict("failed", reason, wait_s)
    moved = (told.get("parameters") or {}).get("migrate_to_chat_id")
    if moved:
        reason = f"{reason}; write chat_id {moved} into the file of targets"
    return Verdict("refused", reason)


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        # Reading the port is what checks it.
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _told(content: bytes) -> dict[str, Any]:
    """Return what the Bot API says; an empty answer for a proxy's page."""
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    parameters = found.get("parameters")
    return found | {
        "parameters": parameters if isinstance(parameters, dict) else {},
        "description": str(found.get("description", ""))[:300],
    }


def _wait_s(parameters: dict[str, Any] | None, header: str | None) -> float | None:
    """Return the pause that was asked for: Telegram's `retry_after`, or HTTP's header in seconds or as a date."""
    asked: Any = (parameters or {}).get("retry_after", header)
    if asked is None:
        return None
    try:
        seconds = float(asked)
    except (TypeError, ValueError):
        try:
            seconds = (parsedate_to_datetime(str(asked)) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError):
            return None
    return min(max(seconds, 0.0), _LONGEST_WAIT_S) if seconds == seconds else None

"""Builds the HTTP request of a message and interprets the response. Reads secrets from their files.

To add a kind of target: a branch in `build_request`, and one in `parse_response` if the body matters.
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

from tapeline_clients.http import is_transient

from tapeline_notifier import message as messages
from tapeline_notifier.errors import SecretUnusable
from tapeline_notifier.message import Message
from tapeline_notifier.targets import Telegram, Webhook, read_secret

_JSON: Final = "application/json"
SIGNATURE: Final = "X-Tapeline-Signature"
# Upper limit of a requested delay: retries are cheap.
_MAX_RETRY_AFTER_S: Final = 3600.0


@dataclass(frozen=True)
class Request:
    """One POST request. The address may contain a secret, so repr omits it."""

    url: str = field(repr=False)
    content: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class DeliveryResult:
    """Result of one delivery attempt.

    Attributes:
        outcome: `sent`; `busy`: not delivered, retry later; `failed`: unknown, the message may have arrived;
            `refused`: not delivered, an operator must act.
        reason: from the target's response; empty if sent.
        wait_s: retry delay that the target requested, None if none.
    """

    outcome: Literal["sent", "busy", "failed", "refused"]
    reason: str = ""
    wait_s: float | None = None


def build_request(target: Telegram | Webhook, message: Message, is_repeat: bool) -> Request:
    """Return the request that sends a message to a target.

    Args:
        target: the recipient.
        message: the message.
        is_repeat: an earlier attempt may have arrived; the chat text says so, webhooks use the Idempotency-Key.

    Raises:
        SecretUnusable: a secret file of the target cannot be read now.
    """
    if isinstance(target, Telegram):
        token = read_secret(target.token_file, f"token_file of {target.name}")
        fields = {"chat_id": target.chat_id, "text": messages.text(message, is_repeat=is_repeat)}
        more = {"link_preview_options": {"is_disabled": True}}
        content = json.dumps(fields | more, ensure_ascii=False).encode()
        return Request(f"{target.api_url}/bot{token}/sendMessage", content, {"Content-Type": _JSON})
    address = read_secret(target.url_file, f"url_file of {target.name}")
    if not _is_address(address):
        raise SecretUnusable(f"url_file of {target.name}", target.url_file, "no http or https address")
    content = messages.body(message)
    headers = {"Content-Type": _JSON, "Idempotency-Key": message.message_id}
    if target.key_file is not None:
        key = read_secret(target.key_file, f"key_file of {target.name}").encode()
        headers[SIGNATURE] = f"sha256={hmac.new(key, content, hashlib.sha256).hexdigest()}"
    return Request(address, content, headers)


def parse_response(
    target: Telegram | Webhook, status: int, headers: Mapping[str, str], content: bytes
) -> DeliveryResult:
    """Return the delivery result of a response.

    Args:
        target: the recipient that responded.
        status: HTTP status.
        headers: keyed by lower-case name.
        content: the body, at least its beginning.
    """
    response = _bot_api_response(content) if isinstance(target, Telegram) else {}
    reason = f"status {status} {response.get('description', '')}".strip()
    if 200 <= status < 300:
        if isinstance(target, Telegram) and response.get("ok") is not True:
            return DeliveryResult("refused", f"{reason}: not a Bot API response")
        return DeliveryResult("sent")
    wait_s = _wait_s(response.get("parameters"), headers.get("retry-after"))
    if status >= 500:
        return DeliveryResult("failed", reason, wait_s)
    if is_transient(status):
        return DeliveryResult("busy", reason, wait_s)
    moved = (response.get("parameters") or {}).get("migrate_to_chat_id")
    if moved:
        reason = f"{reason}; write chat_id {moved} into the targets file"
    return DeliveryResult("refused", reason)


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        # Reading the port validates it.
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _bot_api_response(content: bytes) -> dict[str, Any]:
    """Return the parsed Bot API response; empty for anything else, such as a proxy's HTML page."""
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
    """Return the requested retry delay: Telegram's `retry_after`, or the Retry-After header (seconds or date)."""
    requested: Any = (parameters or {}).get("retry_after", header)
    if requested is None:
        return None
    try:
        seconds = float(requested)
    except (TypeError, ValueError):
        try:
            seconds = (parsedate_to_datetime(str(requested)) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError):
            return None
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER_S) if seconds == seconds else None

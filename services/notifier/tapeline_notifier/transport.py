"""Sends one message to one target: one attempt over HTTP, or a log line in a dry run."""

import asyncio
import logging
from typing import Final, Protocol

import httpx

from tapeline_notifier import message as messages
from tapeline_notifier.errors import SecretUnusable
from tapeline_notifier.message import Message
from tapeline_notifier.requests import DeliveryResult, Request, build_request, parse_response
from tapeline_notifier.targets import Telegram, Webhook

log = logging.getLogger(__name__)

_MAX_RESPONSE_BYTES: Final = 64 * 1024
# After these errors no byte of the message was sent.
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


class Transport(Protocol):
    """Sends messages to targets."""

    async def send(self, target: Telegram | Webhook, message: Message, is_repeat: bool) -> DeliveryResult:
        """Attempt one delivery and return its result; raises nothing that a target can cause."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


class HttpTransport:
    """Sends over HTTP."""

    def __init__(self, timeout_s: float) -> None:
        """Create the HTTP client.

        Args:
            timeout_s: from connecting to the end of the response.
        """
        self._timeout_s = timeout_s
        # A redirect counts as refused: messages go only to the configured address.
        self._client = httpx.AsyncClient(timeout=timeout_s, follow_redirects=False)

    async def send(self, target: Telegram | Webhook, message: Message, is_repeat: bool) -> DeliveryResult:
        """Attempt one delivery and return its result."""
        try:
            request = build_request(target, message, is_repeat)
            async with asyncio.timeout(self._timeout_s):
                return await self._post(target, request)
        except SecretUnusable as error:
            return DeliveryResult("refused", str(error))
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            # The text of these errors contains the address, which is secret.
            return DeliveryResult("refused", "the address is not a valid HTTP URL")
        except _NOT_SENT as error:
            return DeliveryResult("busy", f"{type(error).__name__}: {error}")
        except (httpx.HTTPError, TimeoutError) as error:
            return DeliveryResult("failed", f"{type(error).__name__}: {error}".removesuffix(": "))

    async def _post(self, target: Telegram | Webhook, request: Request) -> DeliveryResult:
        headers = {**request.headers, "User-Agent": "tapeline-notifier"}
        async with self._client.stream("POST", request.url, content=request.content, headers=headers) as response:
            content = b""
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > _MAX_RESPONSE_BYTES:
                    break
            return parse_response(target, response.status_code, response.headers, content)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()


class DryRunTransport:
    """Logs messages instead of sending them."""

    async def send(self, target: Telegram | Webhook, message: Message, is_repeat: bool) -> DeliveryResult:
        """Log the message; reads no secret."""
        fields = {"target": target.name, "message_id": message.message_id, "text": messages.text(message)}
        log.info("dry run: message not sent", extra=fields)
        return DeliveryResult("sent")

    async def aclose(self) -> None:
        """Do nothing."""

"""Carries one message to one target, once; or, in a dry run, into the log."""

import asyncio
import logging
from typing import Final, Protocol

import httpx

from tapeline_notifier import message as messages
from tapeline_notifier.errors import SecretUnusable
from tapeline_notifier.message import Message
from tapeline_notifier.requests import Request, Verdict, request_of, verdict
from tapeline_notifier.targets import Telegram, Webhook

log = logging.getLogger(__name__)

_ANSWER_BYTES: Final = 64 * 1024
# With these nothing of the message has left.
_NOT_BEGUN: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


class Courier(Protocol):
    """Whoever can try to bring a message."""

    async def carry(self, target: Telegram | Webhook, message: Message, is_repeat: bool) -> Verdict:
        """Try once, and say what came of it; raises nothing that a target can cause."""
        ...

    async def aclose(self) -> None:
        """Let go of all connections."""
        ...


class HttpCourier:
    """Over HTTP."""

    def __init__(self, timeout_s: float) -> None:
        """Prepare.

        Args:
            timeout_s: for everything from connecting to the end of the answer.
        """
        self._timeout_s = timeout_s
        # A redirect is a refusal: a message goes to the address that was written down, nowhere else.
        self._client = httpx.AsyncClient(timeout=timeout_s, follow_redirects=False)

    async def carry(self, target: Telegram | Webhook, message: Message, is_repeat: bool) -> Verdict:
        """Try once, and say what came of it."""
        try:
            request = request_of(target, message, is_repeat)
            async with asyncio.timeout(self._timeout_s):
                return await self._ask(target, request)
        except SecretUnusable as error:
            return Verdict("refused", str(error))
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            # Their own text shows the address.
            return Verdict("refused", "its address is none that HTTP knows")
        except _NOT_BEGUN as error:
            return Verdict("busy", f"{type(error).__name__}: {error}")
        except (httpx.HTTPError, TimeoutError) as error:
            return Verdict("failed", f"{type(error).__name__}: {error}".removesuffix(": "))

    async def _ask(self, target: Telegram | Webhook, request: Request) -> Verdict:
        headers = {**request.headers, "User-Agent": "tapeline-notifier"}
        async with self._client.stream("POST", request.url, content=request.content, headers=headers) as answer:
            content = b""
            async for part in answer.aiter_bytes():
                content += part
                if len(content) > _ANSWER_BYTES:
                    break
            return verdict(target, answer.status_code, answer.headers, content)

    async def aclose(self) -> None:
        """Let go of all connections."""
        await self._client.aclose()


class DryCourier:
    """Into the log."""

    async def carry(self, target: Telegram | Webhook, message: Message, is_repeat: bool) -> Verdict:
        """Say what would be sent; no secret is read for it."""
        told = {"target": target.name, "message_id": message.message_id, "text": messages.text(message)}
        log.info("dry run: would send", extra=told)
        return Verdict("sent")

    async def aclose(self) -> None:
        """Do nothing."""

"""Limits request bodies in size, time and number before anything parses them.

Pure ASGI, since the server itself limits headers only: a body is counted while it arrives, whatever
its Content-Length is, must be complete within a deadline, and the number of concurrent bodies is limited. A refused
request gets its response at once and its connection is closed, so nothing more of it is read.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson

from tapeline_inference import metrics
from tapeline_inference.errors import ApiError, BodyTooLarge, BodyTooSlow, Malformed, Overloaded

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class ClientGone(Exception):
    """The client disconnected before its body was complete; nobody waits for a response."""


class BodyLimiter:
    """Wraps an application so that it receives only complete bodies within the limits."""

    def __init__(self, app: App, bytes_max: int, timeout_s: float, requests_max: int) -> None:
        """Wrap `app`.

        Args:
            app: the application.
            bytes_max: most bytes of a body.
            timeout_s: seconds from the headers to the end of the body.
            requests_max: most requests with a body at one time.
        """
        self._app, self._bytes_max = app, bytes_max
        self._timeout_s, self._requests_max = timeout_s, requests_max
        self._running = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        if self._running >= self._requests_max:
            await _refuse(send, Overloaded(self._requests_max))
            return
        self._running += 1
        metrics.IN_FLIGHT.set(self._running)
        try:
            body = await self._read_body(scope, receive)
            await self._app(scope, _replay(body, receive), send)
        except ClientGone:
            metrics.REQUESTS.labels("unknown", "client_gone").inc()
        except (BodyTooLarge, BodyTooSlow, Malformed) as error:
            await _refuse(send, error)
        finally:
            self._running -= 1
            metrics.IN_FLIGHT.set(self._running)

    async def _read_body(self, scope: Message, receive: Receive) -> bytes:
        self._check_content_length(scope)
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._timeout_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientGone
                    chunk = message.get("body", b"")
                    size += len(chunk)
                    if size > self._bytes_max:
                        raise BodyTooLarge(self._bytes_max)
                    chunks.append(chunk)
                    if not message.get("more_body", False):
                        return b"".join(chunks)
        except TimeoutError:
            raise BodyTooSlow(self._timeout_s) from None

    def _check_content_length(self, scope: Message) -> None:
        for name, value in scope["headers"]:
            if name == b"content-length":
                if not value.isdigit() or len(value) > 18:
                    raise Malformed("announced by a Content-Length that is no number")
                if int(value) > self._bytes_max:
                    raise BodyTooLarge(self._bytes_max)


def _replay(body: bytes, receive: Receive) -> Receive:
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay


def error_body(error: ApiError) -> bytes:
    """Return the JSON body of an error response."""
    return orjson.dumps({"error": error.code, "message": str(error)})


async def _refuse(send: Send, error: ApiError) -> None:
    metrics.REQUESTS.labels("unknown", error.code).inc()
    body = error_body(error)
    headers = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **error.headers,
        **({"Connection": "close"} if error.closes else {}),
    }
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": int(error.status), "headers": raw})
    await send({"type": "http.response.body", "body": body})

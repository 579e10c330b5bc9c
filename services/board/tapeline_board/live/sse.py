"""Streams a client's events over HTTP; ends when the client disconnects, its queue closes, or a send times out.

Format: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import contextlib
from collections.abc import Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tapeline_board.live.client_queue import ConflatingQueue

_RETRY = b"retry: 2000\n\n"
_KEEP_ALIVE = b": keep-alive\n\n"


class EventStream(Response):
    """Sends the events of a queue."""

    media_type = "text/event-stream"

    def __init__(
        self,
        queue: ConflatingQueue,
        unsubscribe: Callable[[ConflatingQueue], None],
        keep_alive_s: float,
        send_timeout_s: float,
    ) -> None:
        """Prepare.

        Args:
            queue: of the client.
            unsubscribe: called with the queue when the stream has ended, for whatever reason.
            keep_alive_s: an idle stream sends a comment this often.
            send_timeout_s: a client that reads nothing for so long is disconnected.
        """
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._queue, self._unsubscribe = queue, unsubscribe
        self._keep_alive_s, self._send_timeout_s = keep_alive_s, send_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one client until it disconnects or times out."""
        disconnect = asyncio.create_task(self._close_on_disconnect(receive))
        try:
            with contextlib.suppress(OSError, TimeoutError):
                await self._send_all(send)
        finally:
            self._unsubscribe(self._queue)
            disconnect.cancel()

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await self._send(send, _RETRY)
        while not self._queue.is_closed:
            chunk = await self._queue.get(self._keep_alive_s)
            if not self._queue.is_closed:
                await self._send(send, chunk or _KEEP_ALIVE)
        async with asyncio.timeout(self._send_timeout_s):
            await send({"type": "http.response.body", "body": b""})

    async def _send(self, send: Send, chunk: bytes) -> None:
        async with asyncio.timeout(self._send_timeout_s):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def _close_on_disconnect(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._queue.close()

"""A client's stream of server-sent events over HTTP; ends with the client, its mailbox, or its patience.

Format: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import contextlib
from collections.abc import Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tapeline_board.live.client_queue import Mailbox

_RETRY = b"retry: 2000\n\n"
_STILL_HERE = b": still here\n\n"


class EventStream(Response):
    """Sends what comes into a mailbox."""

    media_type = "text/event-stream"

    def __init__(
        self, mailbox: Mailbox, leave: Callable[[Mailbox], None], keep_alive_s: float, send_timeout_s: float
    ) -> None:
        """Prepare.

        Args:
            mailbox: what is to be sent.
            leave: called with it when the stream has ended, however.
            keep_alive_s: a stream with nothing to say says so this often.
            send_timeout_s: a client that takes nothing for so long is given up.
        """
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._mailbox, self._leave = mailbox, leave
        self._keep_alive_s, self._send_timeout_s = keep_alive_s, send_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one client until it goes away or is given up."""
        gone = asyncio.create_task(self._close_when_gone(receive))
        try:
            with contextlib.suppress(OSError, TimeoutError):
                await self._send_all(send)
        finally:
            self._leave(self._mailbox)
            gone.cancel()

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await self._send(send, _RETRY)
        while not self._mailbox.is_closed:
            chunk = await self._mailbox.take(self._keep_alive_s)
            if not self._mailbox.is_closed:
                await self._send(send, chunk or _STILL_HERE)
        async with asyncio.timeout(self._send_timeout_s):
            await send({"type": "http.response.body", "body": b""})

    async def _send(self, send: Send, chunk: bytes) -> None:
        async with asyncio.timeout(self._send_timeout_s):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def _close_when_gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._mailbox.close()

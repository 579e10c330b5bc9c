"""Fake of Telegram's Bot API on a real socket: validation, flood control, injected faults.

Also accepts webhooks at /hook, with the same faults.
Source: https://core.telegram.org/bots/api#making-requests
"""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web
from support import aeventually

TOKEN = "123456789:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQr"
CHAT = "-1001234567890"
PAGE = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


@dataclass
class BotApi:
    """The fake server: accepted messages and injected faults.

    Attributes:
        texts: of every accepted message, in order: what the chat shows.
        hooks: headers and JSON of every accepted webhook.
        requests: paths of all requests, whatever their outcome.
        faults: one per coming request, in order: a status, `lost` (accepted, no response), `unanswered` (not accepted,
            no response), `reset` (accepted, connection closed without a response); after the last all requests succeed.
        hold_responses: while set, requests are accepted and their responses wait.
    """

    texts: list[str] = field(default_factory=list)
    hooks: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    faults: list[int | str] = field(default_factory=list)
    flooded_until: float = 0.0
    retry_after_s: int = 1
    chats: set[str] = field(default_factory=lambda: {CHAT})
    hold_responses: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def flood(self, seconds: int) -> None:
        """Refuse every request for some seconds with the remaining time, like flood control."""
        self.flooded_until = time.monotonic() + seconds

    async def _fault(self, accept: Any) -> web.StreamResponse | None:
        """Return the response of the next fault, None if there is none."""
        left = self.flooded_until - time.monotonic()
        if left > 0:
            seconds = int(left) + 1
            return refused(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)
        fault = self.faults.pop(0) if self.faults else 200
        if fault in ("lost", "reset"):
            accept()
        if fault in ("lost", "unanswered"):
            await asyncio.sleep(3600)
        if fault == "reset":
            raise ConnectionResetError
        if fault == 429:
            return refused(429, f"Too Many Requests: retry after {self.retry_after_s}", retry_after=self.retry_after_s)
        if isinstance(fault, int) and fault >= 500:
            return web.Response(status=fault, text=PAGE, content_type="text/html")
        if fault != 200:
            return refused(int(fault), {401: "Unauthorized", 403: "Forbidden: bot was blocked by the user"}[int(fault)])
        return None

    async def send_message(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request.path)
        message = json.loads(await request.read())
        if request.match_info["token"] != TOKEN:
            return refused(401, "Unauthorized")
        if message["chat_id"] not in self.chats:
            return refused(400, "Bad Request: chat not found")
        text = message["text"].strip()
        if not text:
            return refused(400, "Bad Request: message text is empty")
        if len(text.encode("utf-16-le")) // 2 > 4096:
            return refused(400, "Bad Request: message is too long")
        failure = await self._fault(lambda: self.texts.append(text))
        if failure is not None:
            return failure
        self.texts.append(text)
        await self._wait_for_release()
        return web.json_response({"ok": True, "result": {"message_id": len(self.texts), "text": text}})

    async def hook(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request.path)
        raw = await request.read()
        webhook = ({**request.headers, "raw": raw.decode()}, json.loads(raw))
        failure = await self._fault(lambda: self.hooks.append(webhook))
        if failure is not None:
            return failure
        self.hooks.append(webhook)
        await self._wait_for_release()
        return web.Response(status=204)

    async def _wait_for_release(self) -> None:
        await aeventually(lambda: not self.hold_responses.is_set(), "the response is released", 60)

    @contextmanager
    def serving(self, host: str = "127.0.0.1") -> Iterator[Self]:
        """Listen on a free port of an address, in a separate thread."""
        loop = asyncio.new_event_loop()
        app = web.Application()
        app.router.add_post("/bot{token}/sendMessage", self.send_message)
        app.router.add_post("/hook", self.hook)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handle_signals=False)

        async def start() -> None:
            await runner.setup()
            await web.TCPSite(runner, host, 0).start()

        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        asyncio.run_coroutine_threadsafe(start(), loop).result(10)
        self.url = f"http://{host}:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            self.hold_responses.clear()
            asyncio.run_coroutine_threadsafe(_shut_down(runner), loop).result(10)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)
            loop.close()


async def _shut_down(runner: web.AppRunner) -> None:
    await runner.cleanup()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def refused(status: int, description: str, **parameters: int) -> web.Response:
    body: dict[str, Any] = {"ok": False, "error_code": status, "description": description}
    if parameters:
        body["parameters"] = parameters
    return web.json_response(body, status=status)

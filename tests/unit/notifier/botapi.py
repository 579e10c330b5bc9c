"""A server that behaves like Telegram's Bot API, on a real socket: its checks, its flood control, its bad days.

Also takes webhooks, at /hook, under the same bad days.
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
    """What it took, and how it is today.

    Attributes:
        texts: of every message it took, in order: what people see.
        hooks: headers and JSON of every webhook it took.
        requests: all that came, whatever became of them.
        mood: of each coming request, first to last: a status, `lost` (taken, never answered), `deaf` (never answered,
            not taken), `cut` (taken, and the connection closed without an answer); then all is well.
        hold: while set, requests are taken and their answers wait.
    """

    texts: list[str] = field(default_factory=list)
    hooks: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    mood: list[int | str] = field(default_factory=list)
    flooded_until: float = 0.0
    retry_after_s: int = 1
    chats: set[str] = field(default_factory=lambda: {CHAT})
    hold: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def flood(self, seconds: int) -> None:
        """Refuse everything for so long, saying how long is left, as flood control does."""
        self.flooded_until = time.monotonic() + seconds

    async def _mood(self, take: Any) -> web.StreamResponse | None:
        """Return the answer of a bad day, None on a good one."""
        left = self.flooded_until - time.monotonic()
        if left > 0:
            seconds = int(left) + 1
            return refused(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)
        mood = self.mood.pop(0) if self.mood else 200
        if mood in ("lost", "cut"):
            take()
        if mood in ("lost", "deaf"):
            await asyncio.sleep(3600)
        if mood == "cut":
            raise ConnectionResetError
        if mood == 429:
            return refused(429, f"Too Many Requests: retry after {self.retry_after_s}", retry_after=self.retry_after_s)
        if isinstance(mood, int) and mood >= 500:
            return web.Response(status=mood, text=PAGE, content_type="text/html")
        if mood != 200:
            return refused(int(mood), {401: "Unauthorized", 403: "Forbidden: bot was blocked by the user"}[int(mood)])
        return None

    async def send_message(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request.path)
        told = json.loads(await request.read())
        if request.match_info["token"] != TOKEN:
            return refused(401, "Unauthorized")
        if told["chat_id"] not in self.chats:
            return refused(400, "Bad Request: chat not found")
        text = told["text"].strip()
        if not text:
            return refused(400, "Bad Request: message text is empty")
        if len(text.encode("utf-16-le")) // 2 > 4096:
            return refused(400, "Bad Request: message is too long")
        bad = await self._mood(lambda: self.texts.append(text))
        if bad is not None:
            return bad
        self.texts.append(text)
        await self._held()
        return web.json_response({"ok": True, "result": {"message_id": len(self.texts), "text": text}})

    async def hook(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request.path)
        raw = await request.read()
        taken = ({**request.headers, "raw": raw.decode()}, json.loads(raw))
        bad = await self._mood(lambda: self.hooks.append(taken))
        if bad is not None:
            return bad
        self.hooks.append(taken)
        await self._held()
        return web.Response(status=204)

    async def _held(self) -> None:
        await aeventually(lambda: not self.hold.is_set(), "the answer may go", 60)

    @contextmanager
    def serving(self, host: str = "127.0.0.1") -> Iterator[Self]:
        """Listen on a free port of an address, from a thread of its own."""
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
            self.hold.clear()
            asyncio.run_coroutine_threadsafe(_ended(runner), loop).result(10)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)
            loop.close()


async def _ended(runner: web.AppRunner) -> None:
    await runner.cleanup()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def refused(status: int, description: str, **parameters: int) -> web.Response:
    told: dict[str, Any] = {"ok": False, "error_code": status, "description": description}
    if parameters:
        told["parameters"] = parameters
    return web.json_response(told, status=status)

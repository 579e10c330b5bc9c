"""Serves WebSocket, REST and control on one port, and ticks the exchange.

Wiring only; the logic is in sources/, exchange.py, bybit/protocol.py and bybit/rest.py.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine
from types import TracebackType
from typing import Self

from aiohttp import web

from tapeline_simulator.exchange import Exchange
from tapeline_simulator.frame_sender import DirectSender, FrameSender
from tapeline_simulator.ledger import Ledger
from tapeline_simulator.limits import RateLimit
from tapeline_simulator.metrics import Metrics
from tapeline_simulator.routes import Routes
from tapeline_simulator.settings import Settings
from tapeline_simulator.sockets import Sockets
from tapeline_simulator.sources import choose

log = logging.getLogger(__name__)
SHUTDOWN_S = 1.0


class Simulator:
    """A running exchange; `async with` starts and stops it.

    Args:
        settings: the settings.
        sender: sends the frames to subscribers.

    Attributes:
        port: the TCP port, once started.
        failed: a future that gets the exception of a fatal error.
    """

    def __init__(self, settings: Settings, sender: FrameSender | None = None) -> None:
        self._settings = settings
        self._sender = sender or DirectSender()
        self._stack = contextlib.AsyncExitStack()
        self.port = 0
        self.failed: asyncio.Future[None]

    async def __aenter__(self) -> Self:
        """Open the ledger and listen.

        Raises:
            SimulatorError: the recording or the ledger is unusable.
            OSError: the port cannot be bound.
        """
        async with contextlib.AsyncExitStack() as stack:
            await self._start(stack)
            self._stack = stack.pop_all()
        return self

    async def _start(self, stack: contextlib.AsyncExitStack) -> None:
        settings, metrics = self._settings, Metrics()
        ledger = Ledger(settings.ledger)
        stack.callback(ledger.close)
        log.info("ledger opened", extra={"rows": ledger.rows, "dropped_bytes": ledger.dropped_bytes})
        exchange = Exchange(choose.create_source(settings), ledger, self._sender, metrics)
        open_sockets = Sockets(exchange, metrics, settings.socket_queue_frames, settings.idle_close_s)
        limit = RateLimit(settings.rest_requests, settings.rest_window_s, settings.rest_ban_s)
        app = web.Application()
        app.add_routes(Routes(exchange, limit, metrics).table())
        app.add_routes([web.get("/v5/public/{category:spot|linear|inverse}", open_sockets.serve)])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, settings.host, settings.port)
        await site.start()
        self.port = runner.addresses[0][1]
        self.failed = asyncio.get_running_loop().create_future()
        stack.push_async_callback(open_sockets.close)
        self._supervise(stack, self._tick(exchange))
        self._supervise(stack, self._scan(open_sockets))
        log.info("listening", extra={"host": settings.host, "port": self.port, "source": settings.source})

    def _supervise(self, stack: contextlib.AsyncExitStack, work: Coroutine[None, None, None]) -> None:
        """Run a background task until shutdown; its failure is fatal."""
        task = asyncio.create_task(work)
        task.add_done_callback(self._propagate_failure)
        stack.callback(task.cancel)

    def _propagate_failure(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and not self.failed.done():
            error = task.exception()
            if error is not None:
                self.failed.set_exception(error)

    async def _tick(self, exchange: Exchange) -> None:
        tick_s = self._settings.tick_ms / 1000
        while True:
            now_ns = time.time_ns()
            exchange.tick(now_ns // 1_000_000, now_ns)
            await asyncio.sleep(tick_s)

    async def _scan(self, open_sockets: Sockets) -> None:
        while True:
            await asyncio.sleep(self._settings.idle_scan_s)
            open_sockets.abort_idle()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop ticking, close the sockets, stop listening, close the ledger."""
        await self._stack.aclose()

"""The WebSocket side: one Socket for each connection, with a bounded queue of its own.

Thin: what is said is decided in protocol.py. A reader that does not keep up fills its queue and is
cut off; it cannot hold up the others. The exchange never sends PING frames; it answers them.
"""

import asyncio
import logging
import time
from collections import deque

from aiohttp import WSCloseCode, WSMsgType, web

from tapeline_simulator.bybit.protocol import Answer, Session, connection_id
from tapeline_simulator.exchange import Exchange
from tapeline_simulator.metrics import Metrics

log = logging.getLogger(__name__)
LARGEST_MESSAGE_BYTES = 1 << 20


class Socket:
    """A connection that frames and replies are pushed to.

    Args:
        websocket: the prepared connection.
        transport: what it runs on, for cutting it off.
        limit: messages that may wait.
        conn_id: its name in the log.
        metrics: counts it if it is cut off.
    """

    def __init__(
        self,
        websocket: web.WebSocketResponse,
        transport: asyncio.Transport | None,
        limit: int,
        conn_id: str,
        metrics: Metrics,
    ) -> None:
        self._websocket, self._transport, self._limit = websocket, transport, limit
        self._metrics = metrics
        self._waiting: deque[bytes] = deque()
        self._filled = asyncio.Event()
        self._cut = False
        self.conn_id = conn_id
        self.last_message_s = time.monotonic()

    def push(self, payload: bytes) -> None:
        """Take a message; a full queue cuts the connection off."""
        if self._cut:
            return
        if len(self._waiting) >= self._limit:
            log.warning("socket too slow", extra={"conn_id": self.conn_id, "waiting": len(self._waiting)})
            self.cut("slow")
            return
        self._waiting.append(payload)
        self._filled.set()

    def cut(self, reason: str) -> None:
        """End the connection without a close frame, as Bybit does."""
        self._cut = True
        self._waiting.clear()
        self._metrics.dropped(reason)
        if self._transport is not None:
            self._transport.abort()

    async def close(self) -> None:
        """End the connection with a close frame."""
        await self._websocket.close(code=WSCloseCode.GOING_AWAY, message=b"shutting down")

    async def write(self) -> None:
        """Send what is pushed until cancelled, or until the connection is gone."""
        try:
            while True:
                await self._filled.wait()
                self._filled.clear()
                while self._waiting:
                    self.last_message_s = time.monotonic()
                    await self._websocket.send_frame(self._waiting.popleft(), WSMsgType.TEXT)
        except ConnectionError:
            # The reading side sees the end too, and cleans up.
            self._cut = True
            self._waiting.clear()


class Sockets:
    """All open sockets of one exchange.

    Args:
        exchange: what they subscribe to.
        metrics: what counts them.
        queue_frames: messages that may wait for one socket.
        idle_close_s: silence in both directions after which a socket is cut off.
    """

    def __init__(self, exchange: Exchange, metrics: Metrics, queue_frames: int, idle_close_s: float) -> None:
        self._exchange, self._metrics = exchange, metrics
        self._queue_frames, self._idle_close_s = queue_frames, idle_close_s
        self._open: set[Socket] = set()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one connection until it ends."""
        market_type = request.match_info["category"]
        websocket = web.WebSocketResponse(compress=False, max_msg_size=LARGEST_MESSAGE_BYTES)
        await websocket.prepare(request)
        symbols = [key[1] for key in self._exchange.instruments if key[0] == market_type]
        session = Session(market_type, symbols, connection_id())
        socket = Socket(websocket, request.transport, self._queue_frames, session.conn_id, self._metrics)
        self._open.add(socket)
        self._metrics.opened(market_type)
        log.info("socket opened", extra={"conn_id": socket.conn_id, "market_type": market_type})
        writer = asyncio.create_task(socket.write())
        try:
            await self._converse(market_type, websocket, session, socket)
        finally:
            self._exchange.leave(socket)
            self._open.discard(socket)
            writer.cancel()
            self._metrics.closed(market_type)
            log.info("socket closed", extra={"conn_id": socket.conn_id, "code": websocket.close_code})
        return websocket

    async def _converse(
        self, market_type: str, websocket: web.WebSocketResponse, session: Session, socket: Socket
    ) -> None:
        async for message in websocket:
            socket.last_message_s = time.monotonic()
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                self._apply(market_type, session.answer(message.data), socket)

    def _apply(self, market_type: str, answer: Answer, socket: Socket) -> None:
        # The reply goes first: no frame of a topic comes before its acknowledgement.
        socket.push(answer.text)
        for symbol in answer.subscribed:
            self._exchange.subscribe((market_type, symbol), socket, time.time_ns() // 1_000_000)
        for symbol in answer.unsubscribed:
            self._exchange.unsubscribe((market_type, symbol), socket)

    def cut_idle(self) -> None:
        """Cut off the sockets that have been silent for too long."""
        now_s = time.monotonic()
        for socket in tuple(self._open):
            if now_s - socket.last_message_s >= self._idle_close_s:
                log.info("socket idle", extra={"conn_id": socket.conn_id})
                socket.cut("idle")

    async def close(self) -> None:
        """Close every socket with a close frame."""
        await asyncio.gather(*(socket.close() for socket in tuple(self._open)), return_exceptions=True)

"""Serves WebSocket connections, each with its own bounded queue.

Replies are built in bybit/protocol.py. A slow reader fills its queue and is disconnected; it cannot delay
others. The exchange never sends PING frames; it answers them.
"""

import asyncio
import logging
import time
from collections import deque

from aiohttp import WSCloseCode, WSMsgType, web
from tapeline.enums import MarketType
from tapeline.service.clock import now_ms

from tapeline_simulator.bybit.frames import instrument_of
from tapeline_simulator.bybit.protocol import Reply, Session, connection_id
from tapeline_simulator.exchange import Exchange
from tapeline_simulator.metrics import Metrics

log = logging.getLogger(__name__)
MAX_MESSAGE_BYTES = 1 << 20


class Socket:
    """A connection with a queue of outgoing messages.

    Args:
        websocket: the prepared connection.
        transport: its transport, to abort it.
        limit: maximum queued messages.
        conn_id: its id in the log.
        metrics: counts aborted sockets.
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
        self._queue: deque[bytes] = deque()
        self._queued = asyncio.Event()
        self._aborted = False
        self.conn_id = conn_id
        self.last_message_s = time.monotonic()

    def push(self, payload: bytes) -> None:
        """Queue a message; a full queue aborts the connection."""
        if self._aborted:
            return
        if len(self._queue) >= self._limit:
            log.warning("socket too slow", extra={"conn_id": self.conn_id, "queued": len(self._queue)})
            self.abort("slow")
            return
        self._queue.append(payload)
        self._queued.set()

    def abort(self, reason: str) -> None:
        """Close the connection without a close frame, as Bybit does."""
        self._aborted = True
        self._queue.clear()
        self._metrics.dropped(reason)
        if self._transport is not None:
            self._transport.abort()

    async def close(self) -> None:
        """Close the connection with a close frame."""
        await self._websocket.close(code=WSCloseCode.GOING_AWAY, message=b"shutting down")

    async def write(self) -> None:
        """Send queued messages until cancelled or disconnected."""
        try:
            while True:
                await self._queued.wait()
                self._queued.clear()
                while self._queue:
                    self.last_message_s = time.monotonic()
                    await self._websocket.send_frame(self._queue.popleft(), WSMsgType.TEXT)
        except ConnectionError:
            # The reader sees the disconnect too, and cleans up.
            self._aborted = True
            self._queue.clear()


class Sockets:
    """All open sockets of one exchange.

    Args:
        exchange: the exchange to subscribe to.
        metrics: counts sockets.
        queue_frames: maximum queued messages of one socket.
        idle_close_s: idle time in both directions until a socket is aborted.
    """

    def __init__(self, exchange: Exchange, metrics: Metrics, queue_frames: int, idle_close_s: float) -> None:
        self._exchange, self._metrics = exchange, metrics
        self._queue_frames, self._idle_close_s = queue_frames, idle_close_s
        self._open: set[Socket] = set()

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one connection until it ends."""
        market_type = MarketType(request.match_info["category"])
        websocket = web.WebSocketResponse(compress=False, max_msg_size=MAX_MESSAGE_BYTES)
        await websocket.prepare(request)
        symbols = [each.symbol for each in self._exchange.instruments if each.market_type is market_type]
        session = Session(market_type, symbols, connection_id())
        socket = Socket(websocket, request.transport, self._queue_frames, session.conn_id, self._metrics)
        self._open.add(socket)
        self._metrics.opened(market_type)
        log.info("socket opened", extra={"conn_id": socket.conn_id, "market_type": market_type})
        writer = asyncio.create_task(socket.write())
        try:
            await self._read_messages(market_type, websocket, session, socket)
        finally:
            self._exchange.disconnect(socket)
            self._open.discard(socket)
            writer.cancel()
            self._metrics.closed(market_type)
            log.info("socket closed", extra={"conn_id": socket.conn_id, "code": websocket.close_code})
        return websocket

    async def _read_messages(
        self, market_type: MarketType, websocket: web.WebSocketResponse, session: Session, socket: Socket
    ) -> None:
        async for message in websocket:
            socket.last_message_s = time.monotonic()
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                self._apply(market_type, session.reply(message.data), socket)

    def _apply(self, market_type: MarketType, reply: Reply, socket: Socket) -> None:
        # The reply is queued first: no frame of a topic precedes its acknowledgement.
        socket.push(reply.text)
        for symbol in reply.subscribed:
            self._exchange.subscribe(instrument_of(market_type, symbol), socket, now_ms())
        for symbol in reply.unsubscribed:
            self._exchange.unsubscribe(instrument_of(market_type, symbol), socket)

    def abort_idle(self) -> None:
        """Abort the sockets that exceed the idle time."""
        now_s = time.monotonic()
        for socket in tuple(self._open):
            if now_s - socket.last_message_s >= self._idle_close_s:
                log.info("socket idle", extra={"conn_id": socket.conn_id})
                socket.abort("idle")

    async def close(self) -> None:
        """Close every socket with a close frame."""
        await asyncio.gather(*(socket.close() for socket in tuple(self._open)), return_exceptions=True)

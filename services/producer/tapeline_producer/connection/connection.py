"""Runs one WebSocket connection to the exchange: connect, subscribe, read, detect stalls, reconnect.

Not here: the format of the frames (exchange/bybit/messages.py), missing trades (gaps/gap_detector.py), time-outs
(stall_detector.py).
To add another exchange: this loop stays, messages.py and subscriptions.py change.
Source: https://bybit-exchange.github.io/docs/v5/ws/connect
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final, NamedTuple

from tapeline.enums import GapReason, MarketType
from tapeline.instrument import Instrument
from tenacity import AsyncRetrying, RetryCallState, retry_if_result
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from tapeline_producer.connection.backoff import backoff
from tapeline_producer.connection.stall_detector import HEALTHY_S, StallDetector
from tapeline_producer.connection.subscriptions import Subscriptions
from tapeline_producer.errors import ProducerError, StalledError
from tapeline_producer.exchange.bybit import messages
from tapeline_producer.exchange.symbol_selection import ListedInstrument
from tapeline_producer.metrics import Metrics
from tapeline_producer.pipeline import TradePipeline
from tapeline_producer.readiness import Readiness
from tapeline_producer.settings import Settings

log = logging.getLogger(__name__)

_MAINTENANCE_S: Final = 0.25
_OPEN_S: Final = 10.0
_CLOSE_S: Final = 1.0
# The library's default of 16 frames is full within milliseconds of a burst.
_FRAMES_QUEUED: Final = 1024
_BLOCKED_STATUS: Final = frozenset({403, 429})
# Every end of a connection, but no programming error.
_ALWAYS: Final = retry_if_result(lambda _: True)


class Disconnect(NamedTuple):
    """How a connection ended; it was healthy if it delivered trades for a while."""

    reason: str
    is_blocked: bool
    was_healthy: bool


class StreamConnection:
    """One connection of one market, reconnected for as long as the process lives."""

    def __init__(
        self,
        name: str,
        market_type: MarketType,
        settings: Settings,
        pipeline: TradePipeline,
        readiness: Readiness,
        metrics: Metrics,
        clock_ms: Callable[[], int],
    ) -> None:
        """Prepare without an instrument; `run` connects.

        Args:
            name: unique name, for log messages and readiness.
            market_type: market, the last part of the URL.
            settings: URL, intervals and limits.
            pipeline: receives the trades and breaks.
            readiness: receives the state of this connection.
            metrics: counts the reconnects.
            clock_ms: our clock, ms UTC.
        """
        self.name = name
        self.market_type = market_type
        self._subscriptions = Subscriptions(market_type, settings.ack_s, settings.refused_retry_s)
        self._listed: dict[str, ListedInstrument] = {}
        self._is_open = False
        self._settings = settings
        self._pipeline = pipeline
        self._readiness = readiness
        self._metrics = metrics
        self._clock_ms = clock_ms
        self._url = f"{settings.websocket_url}/v5/public/{market_type}"
        self._stalls = StallDetector(settings.data_silence_s)
        self._was_healthy = False
        self._backoff = backoff(settings.reconnect_min_s, settings.reconnect_max_s)
        self._first_message_at: float | None = None
        self._reason = GapReason.RESTART
        readiness.add_connection(name, market_type)

    @property
    def instruments(self) -> frozenset[Instrument]:
        """The instruments of this connection."""
        return frozenset(self._listed[symbol].instrument for symbol in self._subscriptions.symbols)

    def add(self, listed: Collection[ListedInstrument], unlisted: Mapping[ListedInstrument, str]) -> None:
        """Subscribe more instruments; `unlisted` ones, with the reason, are tried later."""
        added = {one.instrument.symbol: one for one in (*listed, *unlisted)}
        refusals = {one.instrument.symbol: reason for one, reason in unlisted.items()}
        self._listed.update(added)
        self._subscriptions.add([one.instrument.symbol for one in listed], refusals, time.monotonic())
        if self._is_open:
            self._pipeline.on_connected([one.instrument for one in added.values()], GapReason.RESTART)
            self._report_state()

    def remove(self, instruments: Collection[Instrument]) -> None:
        """Unsubscribe instruments; their trades that still arrive are ignored."""
        self._subscriptions.remove([instrument.symbol for instrument in instruments])
        # The rate so far includes the removed instruments: the remaining ones may be quieter without a stall.
        self._stalls = StallDetector(self._settings.data_silence_s)
        self._stalls.start_connection(time.monotonic())
        if self._is_open:
            self._report_state()

    def is_acknowledged(self, instrument: Instrument) -> bool:
        """Return whether the exchange has acknowledged or refused an instrument on the current connection."""
        return self._subscriptions.is_acknowledged(instrument.symbol)

    async def run(self) -> None:
        """Stay connected until cancelled."""
        reconnecting = AsyncRetrying(retry=_ALWAYS, wait=self._delay_s, before_sleep=self._report_disconnect)
        await reconnecting(self._connect_once)

    def _delay_s(self, state: RetryCallState) -> float:
        end = _disconnect_of(state)
        if end.was_healthy:
            # The delays start from the shortest one again.
            state.attempt_number = 1
        return self._settings.reconnect_max_s if end.is_blocked else self._backoff(state)

    def _report_disconnect(self, state: RetryCallState) -> None:
        reason = _disconnect_of(state).reason
        text = f"{self._url} is not connected: {reason}"
        self._readiness.report_connection(self.name, text, self._refused())
        fields = {"url": self._url, "reason": reason, "retry_in_s": round(state.upcoming_sleep, 2)}
        log.warning("disconnected; reconnecting", extra=fields)
        self._metrics.reconnects.labels(self.market_type).inc()

    async def _connect_once(self) -> Disconnect:
        """Run one connection to its end."""
        reason, is_blocked, self._first_message_at, self._was_healthy = "", False, None, False
        try:
            async with connect(
                self._url,
                proxy=None,
                compression=None,
                open_timeout=_OPEN_S,
                close_timeout=_CLOSE_S,
                max_size=self._settings.max_frame_bytes,
                max_queue=_FRAMES_QUEUED,
            ) as socket, asyncio.TaskGroup() as group:  # fmt: skip
                self._on_open()
                group.create_task(self._maintain(socket))
                group.create_task(self._read(socket))
        except* InvalidStatus as errors:
            invalid = next(_leaf_errors(errors))
            status = invalid.response.status_code if isinstance(invalid, InvalidStatus) else 0
            is_blocked = status in _BLOCKED_STATUS
            reason = f"HTTP {status} at the handshake" + (
                ": a blocked region or too many connections; retrying after the longest delay" if is_blocked else ""
            )
        except* (OSError, TimeoutError, WebSocketException, ProducerError) as errors:
            error = next(_leaf_errors(errors))
            if isinstance(error, StalledError):
                self._reason = GapReason.STALL
            reason = f"{type(error).__name__}: {error}"
        self._is_open = False
        self._subscriptions.on_close()
        return Disconnect(reason, is_blocked, self._was_healthy)

    def _on_open(self) -> None:
        now = time.monotonic()
        self._subscriptions.on_open(now)
        self._listed = {symbol: self._listed[symbol] for symbol in self._subscriptions.expected}
        self._is_open = True
        self._stalls.start_connection(now)
        self._pipeline.on_connected(self.instruments, self._reason)
        self._reason = GapReason.RECONNECT
        log.info("connected", extra={"url": self._url, "symbols": len(self._subscriptions.symbols)})
        self._report_state()

    async def _read(self, socket: ClientConnection) -> None:
        while True:
            frame = await socket.recv(decode=False)
            message = messages.parse_frame(frame, self._listed, self._clock_ms())
            if isinstance(message, messages.TradeBatch):
                self._handle_trades(message)
            elif isinstance(message, messages.Ack):
                self._handle_ack(message)
                await self._send_requests(socket)
            elif isinstance(message, messages.ParseFailure):
                self._pipeline.on_parse_failure(self.market_type, message)

    def _handle_trades(self, frame: messages.TradeBatch) -> None:
        if not frame.trades:
            for failure in frame.rejects:
                self._pipeline.on_parse_failure(self.market_type, failure)
            return
        self._record_message()
        symbol = frame.trades[0].symbol
        if self._subscriptions.is_wanted(symbol):
            self._pipeline.on_trades(self._listed[symbol].instrument, frame)

    def _record_message(self) -> None:
        now = time.monotonic()
        self._stalls.record_message(now)
        if self._first_message_at is None:
            self._first_message_at = now
        elif now - self._first_message_at > HEALTHY_S:
            self._was_healthy = True

    def _handle_ack(self, ack: messages.Ack) -> None:
        confirmed, refused = self._subscriptions.on_ack(ack, time.monotonic())
        for symbol in confirmed:
            self._pipeline.on_subscribed(self._listed[symbol].instrument)
        for symbol, reason in refused.items():
            fields = {"instrument": str(self._listed[symbol].instrument), "reason": reason}
            log.error("the exchange refuses a topic; retrying periodically", extra=fields)
        self._report_state()

    def _report_state(self) -> None:
        topics = self._subscriptions.unacknowledged
        reason = f"no acknowledgement yet for {', '.join(topics[:5])} ({len(topics)} topics)" if topics else None
        self._readiness.report_connection(self.name, reason, self._refused())

    def _refused(self) -> dict[Instrument, str]:
        return {self._listed[symbol].instrument: reason for symbol, reason in self._subscriptions.refused.items()}

    async def _send_requests(self, socket: ClientConnection) -> None:
        for request in self._subscriptions.due_requests(time.monotonic()):
            await socket.send(messages.encode_request(request.operation, request.req_id, request.topics))

    async def _maintain(self, socket: ClientConnection) -> None:
        """Send requests and pings, and raise on a stall."""
        pinged_at = time.monotonic()
        while True:
            await self._send_requests(socket)
            now = time.monotonic()
            if now - pinged_at >= self._settings.ping_s:
                pinged_at = now
                await socket.send(messages.PING)
            silence_s, timeout_s = self._stalls.silence_s(now), self._stalls.timeout_s(now)
            if silence_s > timeout_s:
                self._stalls.record_stall()
                raise StalledError(silence_s, timeout_s)
            await asyncio.sleep(_MAINTENANCE_S)


def _disconnect_of(state: RetryCallState) -> Disconnect:
    end: Disconnect = state.outcome.result()  # type: ignore[union-attr]
    return end


def _leaf_errors(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """Yield the single errors of nested groups."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaf_errors(error)
        else:
            yield error

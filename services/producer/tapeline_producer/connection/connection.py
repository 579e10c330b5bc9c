"""One connection to the exchange: connect, subscribe, read, watch, connect again.

Not here: what frames mean (bybit.py), what was missed (continuity.py), when to lose patience (rhythm.py).
To follow another exchange: this loop stays, bybit.py and subscription.py change.
Source: https://bybit-exchange.github.io/docs/v5/ws/connect
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from tapeline_producer.connection.stall_detector import HEALTHY_S, Backoff, Silence
from tapeline_producer.connection.subscriptions import Subscriptions
from tapeline_producer.errors import ProducerError, StalledError
from tapeline_producer.exchange.bybit import messages
from tapeline_producer.metrics import Metrics
from tapeline_producer.pipeline import Intake
from tapeline_producer.readiness import Status
from tapeline_producer.settings import Settings

log = logging.getLogger(__name__)

_TEND_S: Final = 0.25
_OPEN_S: Final = 10.0
_CLOSE_S: Final = 1.0
# The library's default of 16 frames is full within milliseconds of a burst.
_FRAMES_QUEUED: Final = 1024
_COME_BACK_LATER: Final = frozenset({403, 429})


class Feed:
    """One connection of one market_type, for as long as the process lives."""

    def __init__(
        self,
        name: str,
        market_type: str,
        settings: Settings,
        intake: Intake,
        status: Status,
        metrics: Metrics,
        clock_ms: Callable[[], int],
    ) -> None:
        """Prepare; `run` connects. There is nothing to follow before `add`.

        Args:
            name: for messages and readiness, unique.
            market_type: market, the last part of the URL.
            settings: URL, intervals and limits.
            intake: takes what is read.
            status: told whether all is well.
            metrics: what is counted.
            clock_ms: our clock, ms UTC.
        """
        self.name = name
        self._market_type = market_type
        self._subscriptions = Subscriptions(market_type, settings.ack_s, settings.refused_retry_s)
        self._is_open = False
        self._settings = settings
        self._intake = intake
        self._status = status
        self._metrics = metrics
        self._clock_ms = clock_ms
        self._url = f"{settings.websocket_url}/v5/public/{market_type}"
        self._silence = Silence(settings.data_silence_s)
        self._backoff = Backoff(settings.reconnect_min_s, settings.reconnect_max_s, random.random)
        self._first_data_at: float | None = None
        self._reason = "restart"
        status.expect(name, market_type)

    @property
    def symbols(self) -> frozenset[str]:
        """What this connection follows."""
        return self._subscriptions.symbols

    def add(self, symbols: Collection[str], unlisted: Mapping[str, str]) -> None:
        """Follow more symbols; `unlisted` ones, with the reason, are tried later."""
        self._subscriptions.add(symbols, unlisted, time.monotonic())
        if self._is_open:
            self._intake.opened(self._market_type, frozenset(symbols).union(unlisted), "restart")
            self._report()

    def remove(self, symbols: Collection[str]) -> None:
        """Follow these symbols no more; what still comes of them is passed over."""
        self._subscriptions.remove(symbols)
        # The rate so far is that of other symbols: what is left may be quieter without being stalled.
        self._silence = Silence(self._settings.data_silence_s)
        self._silence.opened(time.monotonic())
        if self._is_open:
            self._report()

    def is_answered(self, symbol: str) -> bool:
        """Return whether the exchange has said yes or no to a symbol, and still would."""
        return self._subscriptions.is_answered(symbol)

    async def run(self) -> None:
        """Stay connected until cancelled."""
        while True:
            pause_s = await self._connect_once()
            self._metrics.reconnects.labels(self._market_type).inc()
            await asyncio.sleep(pause_s)

    async def _connect_once(self) -> float:
        """Run one connection to its end and return the pause before the next."""
        ended, is_refused, self._first_data_at = "", False, None
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
                self._opened()
                group.create_task(self._tend(socket))
                group.create_task(self._read(socket))
        except* InvalidStatus as errors:
            refusal = next(_leaves(errors))
            status = refusal.response.status_code if isinstance(refusal, InvalidStatus) else 0
            is_refused = status in _COME_BACK_LATER
            ended = f"HTTP {status} at the handshake" + (
                ": a blocked region or too many connections; trying again slowly" if is_refused else ""
            )
        except* (OSError, TimeoutError, WebSocketException, ProducerError) as errors:
            error = next(_leaves(errors))
            if isinstance(error, StalledError):
                self._reason = "stall"
            ended = f"{type(error).__name__}: {error}"
        self._is_open = False
        self._subscriptions.closed()
        pause_s = self._backoff.longest_s() if is_refused else self._backoff.next_s()
        self._status.report(self.name, f"{self._url} is not connected: {ended}", self._subscriptions.refused)
        what = {"url": self._url, "reason": ended, "retry_in_s": round(pause_s, 2)}
        log.warning("the connection ended", extra=what)
        return pause_s

    def _opened(self) -> None:
        now = time.monotonic()
        self._subscriptions.opened(now)
        self._is_open = True
        self._silence.opened(now)
        self._intake.opened(self._market_type, self._subscriptions.symbols, self._reason)
        self._reason = "reconnect"
        log.info("connected", extra={"url": self._url, "symbols": len(self._subscriptions.symbols)})
        self._report()

    async def _read(self, socket: ClientConnection) -> None:
        while True:
            frame = await socket.recv(decode=False)
            message = messages.read(frame, self._market_type, self._subscriptions.readable, self._clock_ms())
            if isinstance(message, messages.Trades):
                self._take(message)
            elif isinstance(message, messages.Ack):
                self._answered(message)
                await self._ask(socket)
            elif isinstance(message, messages.Unreadable):
                self._intake.unreadable(self._market_type, message)

    def _take(self, frame: messages.Trades) -> None:
        if not frame.trades:
            for unreadable in frame.rejects:
                self._intake.unreadable(self._market_type, unreadable)
            return
        self._heard()
        symbol = frame.trades[0].symbol
        if self._subscriptions.is_followed(symbol):
            self._intake.trades(self._market_type, symbol, frame)

    def _heard(self) -> None:
        now = time.monotonic()
        self._silence.heard(now)
        if self._first_data_at is None:
            self._first_data_at = now
        elif now - self._first_data_at > HEALTHY_S:
            self._backoff.succeeded()

    def _answered(self, ack: messages.Ack) -> None:
        confirmed, refused = self._subscriptions.answered(ack, time.monotonic())
        for symbol in confirmed:
            self._intake.subscribed(self._market_type, symbol)
        for symbol, reason in refused.items():
            what = {"market_type": self._market_type, "symbol": symbol, "reason": reason}
            log.error("the exchange refuses a topic; it is asked for again from time to time", extra=what)
        self._report()

    def _report(self) -> None:
        waiting = self._subscriptions.waiting
        reason = f"no answer yet for {', '.join(waiting[:5])} ({len(waiting)} topics)" if waiting else None
        self._status.report(self.name, reason, self._subscriptions.refused)

    async def _ask(self, socket: ClientConnection) -> None:
        for request in self._subscriptions.due(time.monotonic()):
            await socket.send(messages.request(request.operation, request.req_id, request.topics))

    async def _tend(self, socket: ClientConnection) -> None:
        """Subscribe, ping, and raise when data stops."""
        pinged_at = time.monotonic()
        while True:
            await self._ask(socket)
            now = time.monotonic()
            if now - pinged_at >= self._settings.ping_s:
                pinged_at = now
                await socket.send(messages.PING)
            silence_s, limit_s = self._silence.silence_s(now), self._silence.limit_s(now)
            if silence_s > limit_s:
                self._silence.stalled()
                raise StalledError(silence_s, limit_s)
            await asyncio.sleep(_TEND_S)


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """Yield the single errors of a group of groups."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error

"""The exchange's REST interface: time, instruments, tickers, recent trades.

Not here: what the answers mean (selection.py, bybit.py).
To ask for something else: add a method that calls `_get`.
Source: https://bybit-exchange.github.io/docs/v5/rate-limit : 600 requests in 5 s, then a ban of 10 minutes.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import unquote

import httpx
import msgspec
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_random_exponential

from tapeline_producer.errors import (
    ExchangeAnswerError,
    ExchangeRefusedError,
    ExchangeUnreachableError,
    is_retryable,
)
from tapeline_producer.exchange.bybit import messages
from tapeline_producer.exchange.symbol_selection import Instrument, Ticker
from tapeline_producer.settings import Settings

log = logging.getLogger(__name__)

_WINDOW_S: Final = 5.0
_BAN_S: Final = 600.0
_TIMEOUT_S: Final = 3.0
_BUSY_STATUS: Final = frozenset({429, 500, 502, 503, 504})
# 10002 clock window, 10006 too many visits, 10016 server error.
_BUSY_CODES: Final = frozenset({10002, 10006, 10016})
_PAGE: Final = 1000


class _Reply(msgspec.Struct, rename="camel"):
    ret_code: int
    ret_msg: str = ""
    result: msgspec.Raw = msgspec.Raw(b"{}")


class _Instruments(msgspec.Struct, rename="camel"):
    list: list[Instrument]
    next_page_cursor: str | None = None


class _Tickers(msgspec.Struct):
    list: list[Ticker]


class _Recent(msgspec.Struct):
    list: msgspec.Raw


class Pace:
    """At most so many starts in any 5 s."""

    def __init__(self, starts: int, window_s: float = _WINDOW_S) -> None:
        """Start with nothing used up.

        Args:
            starts: how many are allowed.
            window_s: in how many seconds.
        """
        self._starts: deque[float] = deque(maxlen=starts)
        self._window_s = window_s
        self._lock = asyncio.Lock()

    async def start(self) -> None:
        """Wait until another start is allowed, and count it."""
        async with self._lock:
            if len(self._starts) == self._starts.maxlen:
                await asyncio.sleep(self._starts[0] + self._window_s - time.monotonic())
            self._starts.append(time.monotonic())


class Rest:
    """A client that keeps the exchange's limits; close it with `aclose`."""

    def __init__(self, settings: Settings, clock_ms: Callable[[], int]) -> None:
        """Prepare; nothing is sent before the first call.

        Args:
            settings: URL and limits.
            clock_ms: our clock, ms UTC.
        """
        self._url = settings.rest_url
        self._clock_ms = clock_ms
        self._pace = Pace(settings.rest_requests_per_5s)
        self._free = asyncio.Semaphore(settings.rest_concurrency)
        self._banned_until = 0.0
        self._http = httpx.AsyncClient(base_url=self._url, timeout=_TIMEOUT_S, trust_env=False)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def time(self) -> None:
        """Ask for the exchange's time, once.

        Raises:
            ProducerError: there was no usable answer.
        """
        await self._once("/v5/market/time", {})

    async def instruments(self, market_type: str, patience_s: float) -> list[Instrument]:
        """Return what a market_type lists; see `_get` for errors."""
        found: list[Instrument] = []
        cursor = ""
        while True:
            query = {"category": market_type, "limit": str(_PAGE)}
            if cursor:
                # It comes URL-encoded, and the client encodes again.
                query["cursor"] = unquote(cursor)
            page = await self._get("/v5/market/instruments-info", query, _Instruments, patience_s)
            found += page.list
            cursor = page.next_page_cursor or ""
            if not cursor:
                return found

    async def tickers(self, market_type: str, patience_s: float) -> list[Ticker]:
        """Return the last 24 h of every symbol of a market_type; see `_get` for errors."""
        reply: _Tickers = await self._get("/v5/market/tickers", {"category": market_type}, _Tickers, patience_s)
        return reply.list

    async def recent_trades(self, market_type: str, symbol: str, patience_s: float) -> messages.Trades:
        """Return the newest trades of a symbol, oldest first; see `_get` for errors."""
        query = {"category": market_type, "symbol": symbol, "limit": str(messages.BACKFILL_LIMIT[market_type])}
        path = "/v5/market/recent-trade"
        reply = await self._get(path, query, _Recent, patience_s)
        try:
            return messages.read_recent_trades(reply.list, market_type, symbol, self._clock_ms())
        except ValueError as error:
            raise ExchangeAnswerError(self._url + path, str(error)) from error

    async def _get(self, path: str, query: dict[str, str], kind: type[Any], patience_s: float) -> Any:
        """Ask until there is an answer or `patience_s` is over.

        Raises:
            ExchangeUnreachableError: nothing usable came within the time.
            ExchangeRefusedError: the exchange will not serve us.
            ExchangeAnswerError: the answer is not what it should be.
        """
        attempts = AsyncRetrying(
            stop=stop_after_delay(patience_s),
            wait=wait_random_exponential(multiplier=0.2, max=2.0),
            retry=retry_if_exception(is_retryable),
            reraise=True,
        )
        result: msgspec.Raw = await attempts(self._once, path, query)
        try:
            return msgspec.json.decode(result, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ExchangeAnswerError(self._url + path, str(error)) from error

    async def _once(self, path: str, query: dict[str, str]) -> msgspec.Raw:
        url = self._url + path
        if time.monotonic() < self._banned_until:
            raise ExchangeRefusedError(url, "the exchange banned this address for 10 minutes for too many requests")
        async with self._free:
            await self._pace.start()
            try:
                response = await self._http.get(path, params=query)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise ExchangeUnreachableError(url, f"{type(error).__name__} {error}".strip()) from error
        self._check_status(url, response)
        try:
            reply = msgspec.json.decode(response.content, type=_Reply)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ExchangeAnswerError(url, str(error)) from error
        if reply.ret_code in _BUSY_CODES:
            raise ExchangeUnreachableError(url, f"retCode {reply.ret_code} {reply.ret_msg}")
        if reply.ret_code != 0:
            raise ExchangeAnswerError(url, f"retCode {reply.ret_code} {reply.ret_msg}")
        return reply.result

    def _check_status(self, url: str, response: httpx.Response) -> None:
        status = response.status_code
        if status == httpx.codes.OK:
            return
        if status in _BUSY_STATUS:
            raise ExchangeUnreachableError(url, f"HTTP {status}")
        if status == httpx.codes.FORBIDDEN and "too frequent" in response.text:
            self._banned_until = time.monotonic() + _BAN_S
            log.error("the exchange bans this address from REST for 10 minutes: no back-fill until then")
        raise ExchangeRefusedError(url, f"HTTP {status}")

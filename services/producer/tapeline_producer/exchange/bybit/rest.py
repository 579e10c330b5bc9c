"""Client of the exchange's REST API: time, instruments, tickers, recent trades.

Not here: the meaning of the responses (symbol_selection.py, messages.py).
To call another endpoint: add a method that calls `_get`.
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
from tapeline.enums import MarketType
from tapeline_clients.http import is_transient
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_random_exponential

from tapeline_producer.errors import (
    ExchangeRefusedError,
    ExchangeResponseError,
    ExchangeUnreachableError,
    is_retryable,
)
from tapeline_producer.exchange.bybit import messages
from tapeline_producer.exchange.symbol_selection import InstrumentInfo, ListedInstrument, Ticker
from tapeline_producer.settings import Settings

log = logging.getLogger(__name__)

_WINDOW_S: Final = 5.0
_BAN_S: Final = 600.0
_TIMEOUT_S: Final = 3.0
# 10002 clock window, 10006 too many visits, 10016 server error.
_BUSY_CODES: Final = frozenset({10002, 10006, 10016})
_PAGE: Final = 1000


class _Envelope(msgspec.Struct, rename="camel"):
    ret_code: int
    ret_msg: str = ""
    result: msgspec.Raw = msgspec.Raw(b"{}")


class _Instruments(msgspec.Struct, rename="camel"):
    list: list[InstrumentInfo]
    next_page_cursor: str | None = None


class _Tickers(msgspec.Struct):
    list: list[Ticker]


class _RecentTrades(msgspec.Struct):
    list: msgspec.Raw


class RateLimiter:
    """Limits the requests in any window of time."""

    def __init__(self, limit: int, window_s: float = _WINDOW_S) -> None:
        """Start with an empty window.

        Args:
            limit: most requests in a window.
            window_s: length of the window, s.
        """
        self._acquired_at: deque[float] = deque(maxlen=limit)
        self._window_s = window_s
        self._lock = asyncio.Lock()

    async def acquire(self) -> None:
        """Wait until another request is allowed, and count it."""
        async with self._lock:
            if len(self._acquired_at) == self._acquired_at.maxlen:
                await asyncio.sleep(self._acquired_at[0] + self._window_s - time.monotonic())
            self._acquired_at.append(time.monotonic())


class RestClient:
    """REST client that respects the exchange's rate limits; close it with `aclose`."""

    venue: Final = messages.VENUE
    """Venue of its instruments."""

    def __init__(self, settings: Settings, clock_ms: Callable[[], int]) -> None:
        """Create the client; nothing is sent before the first call.

        Args:
            settings: URL and limits.
            clock_ms: our clock, ms UTC.
        """
        self._url = settings.rest_url
        self._clock_ms = clock_ms
        self._rate_limiter = RateLimiter(settings.rest_requests_per_5s)
        self._slots = asyncio.Semaphore(settings.rest_concurrency)
        self._banned_until = 0.0
        self._http = httpx.AsyncClient(base_url=self._url, timeout=_TIMEOUT_S, trust_env=False)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def check_time(self) -> None:
        """Request the exchange's time, without a retry.

        Raises:
            ProducerError: there was no usable response.
        """
        await self._request_once("/v5/market/time", {})

    async def instruments(self, market_type: MarketType, timeout_s: float) -> list[InstrumentInfo]:
        """Return the exchange's list of a market; see `_get` for errors."""
        found: list[InstrumentInfo] = []
        cursor = ""
        while True:
            query = {"category": market_type, "limit": str(_PAGE)}
            if cursor:
                # The cursor is URL-encoded already, and the client encodes again.
                query["cursor"] = unquote(cursor)
            page = await self._get("/v5/market/instruments-info", query, _Instruments, timeout_s)
            found += page.list
            cursor = page.next_page_cursor or ""
            if not cursor:
                return found

    async def tickers(self, market_type: MarketType, timeout_s: float) -> list[Ticker]:
        """Return the 24 h tickers of every symbol of a market; see `_get` for errors."""
        tickers: _Tickers = await self._get("/v5/market/tickers", {"category": market_type}, _Tickers, timeout_s)
        return tickers.list

    async def recent_trades(self, listed: ListedInstrument, timeout_s: float) -> messages.TradeBatch:
        """Return the newest trades of an instrument, oldest first; see `_get` for errors."""
        market_type, symbol = listed.instrument.market_type, listed.instrument.symbol
        query = {"category": market_type, "symbol": symbol, "limit": str(messages.BACKFILL_LIMIT[market_type])}
        path = "/v5/market/recent-trade"
        recent = await self._get(path, query, _RecentTrades, timeout_s)
        try:
            return messages.parse_recent_trades(recent.list, listed, self._clock_ms())
        except ValueError as error:
            raise ExchangeResponseError(self._url + path, str(error)) from error

    async def _get(self, path: str, query: dict[str, str], result_type: type[Any], timeout_s: float) -> Any:
        """Request until there is a response or `timeout_s` is over.

        Raises:
            ExchangeUnreachableError: no usable response within the time-out.
            ExchangeRefusedError: the exchange refused the request.
            ExchangeResponseError: the response does not match the documentation.
        """
        attempts = AsyncRetrying(
            stop=stop_after_delay(timeout_s),
            wait=wait_random_exponential(multiplier=0.2, max=2.0),
            retry=retry_if_exception(is_retryable),
            reraise=True,
        )
        result: msgspec.Raw = await attempts(self._request_once, path, query)
        try:
            return msgspec.json.decode(result, type=result_type)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ExchangeResponseError(self._url + path, str(error)) from error

    async def _request_once(self, path: str, query: dict[str, str]) -> msgspec.Raw:
        url = self._url + path
        if time.monotonic() < self._banned_until:
            raise ExchangeRefusedError(url, "the exchange banned this address for 10 minutes for too many requests")
        async with self._slots:
            await self._rate_limiter.acquire()
            try:
                response = await self._http.get(path, params=query)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise ExchangeUnreachableError(url, f"{type(error).__name__} {error}".strip()) from error
        self._check_status(url, response)
        try:
            envelope = msgspec.json.decode(response.content, type=_Envelope)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ExchangeResponseError(url, str(error)) from error
        if envelope.ret_code in _BUSY_CODES:
            raise ExchangeUnreachableError(url, f"retCode {envelope.ret_code} {envelope.ret_msg}")
        if envelope.ret_code != 0:
            raise ExchangeResponseError(url, f"retCode {envelope.ret_code} {envelope.ret_msg}")
        return envelope.result

    def _check_status(self, url: str, response: httpx.Response) -> None:
        status = response.status_code
        if status == httpx.codes.OK:
            return
        if is_transient(status):
            raise ExchangeUnreachableError(url, f"HTTP {status}")
        if status == httpx.codes.FORBIDDEN and "too frequent" in response.text:
            self._banned_until = time.monotonic() + _BAN_S
            log.error("exchange banned this address from REST for 10 minutes; no back-fill until then")
        raise ExchangeRefusedError(url, f"HTTP {status}")

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from tapeline.enums import MarketType
from tapeline.instrument import instrument_of
from tapeline_producer.errors import ExchangeRefusedError, ExchangeResponseError, ExchangeUnreachableError
from tapeline_producer.exchange.bybit.rest import RateLimiter, RestClient
from tapeline_producer.exchange.symbol_selection import InstrumentInfo, ListedInstrument
from tapeline_producer.settings import Settings

from unit.producer.factories import BTC

Respond = Callable[[web.Request], web.Response]
MakeClient = Callable[[Respond], Any]


def ok(result: object) -> web.Response:
    return web.json_response({"retCode": 0, "retMsg": "", "result": result})


@pytest.fixture
async def client_for() -> AsyncIterator[MakeClient]:
    """Creates a client of a server that responds to every request with the given function."""
    opened: list[Any] = []

    async def make(respond: Respond) -> RestClient:
        async def handle(request: web.Request) -> web.Response:
            return respond(request)

        app = web.Application()
        app.router.add_get("/{path:.*}", handle)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        rest = RestClient(Settings(rest_url=f"http://127.0.0.1:{runner.addresses[0][1]}"), lambda: 1_790_000_000_000)
        opened.extend((rest.aclose, runner.cleanup))
        return rest

    yield make
    for close in opened:
        await close()


async def test_rate_limiter_allows_no_more_requests_than_its_limit_in_a_window() -> None:
    limiter = RateLimiter(3, 0.3)
    began = time.monotonic()
    times = []
    for _ in range(7):
        await limiter.acquire()
        times.append(time.monotonic() - began)
    assert times[2] < 0.2 and times[3] >= 0.29 and times[6] >= 0.59


async def test_request_to_a_busy_exchange_is_retried_until_it_responds(client_for: MakeClient) -> None:
    responses = [web.Response(status=503), web.json_response({"retCode": 10006, "retMsg": "Too many visits!"})]
    rest = await client_for(lambda _: responses.pop() if responses else ok({"list": []}))
    assert (await rest.recent_trades(ListedInstrument(BTC), 5.0)).item_count == 0


async def test_refused_request_is_not_retried_and_a_ban_stops_every_later_request(client_for: MakeClient) -> None:
    requested: list[str] = []

    def respond(request: web.Request) -> web.Response:
        requested.append(request.path)
        return web.Response(status=403, text="access too frequent")

    rest = await client_for(respond)
    for _ in range(3):
        with pytest.raises(ExchangeRefusedError, match="403"):
            await rest.recent_trades(ListedInstrument(BTC), 5.0)
    assert requested == ["/v5/market/recent-trade"]


async def test_pages_of_instruments_are_requested_with_the_cursor_decoded_once(client_for: MakeClient) -> None:
    cursors: list[str] = []

    def respond(request: web.Request) -> web.Response:
        cursors.append(request.query.get("cursor", ""))
        more = "" if cursors[-1] else "first%3DA%26last%3DB"
        return ok(
            {
                "list": [{"symbol": f"S{len(cursors)}", "baseCoin": "B", "quoteCoin": "Q", "status": "Trading"}],
                "nextPageCursor": more,
            }
        )

    rest = await client_for(respond)
    assert await rest.instruments(MarketType.LINEAR, 5.0) == [
        InstrumentInfo(s, "B", "Q", "Trading") for s in ("S1", "S2")
    ]
    assert cursors == ["", "first=A&last=B"]


@pytest.mark.parametrize("body", ["", "<html>", "[]", '{"retCode":"0"}', '{"retCode":0,"result":{"list":7}}'])
async def test_response_that_is_not_v5_raises_a_response_error(client_for: MakeClient, body: str) -> None:
    rest = await client_for(lambda _: web.Response(text=body))
    with pytest.raises(ExchangeResponseError, match="recent-trade"):
        await rest.recent_trades(ListedInstrument(BTC), 1.0)


async def test_exchange_that_is_down_is_unreachable_within_the_timeout() -> None:
    rest = RestClient(Settings(rest_url="http://127.0.0.1:9"), lambda: 0)
    with pytest.raises(ExchangeUnreachableError, match=r"127\.0\.0\.1:9"):
        async with asyncio.timeout(5):
            await rest.tickers(MarketType.SPOT, 0.5)
    await rest.aclose()


@pytest.mark.parametrize(("market_type", "symbol", "limit"), [("spot", "BTCUSDT", "60"), ("inverse", "BTCUSD", "1000")])
async def test_as_many_recent_trades_are_requested_as_the_market_returns(
    client_for: MakeClient, market_type: str, symbol: str, limit: str
) -> None:
    queries: list[dict[str, str]] = []

    def respond(request: web.Request) -> web.Response:
        queries.append(dict(request.query))
        return ok({"list": []})

    rest = await client_for(respond)
    await rest.recent_trades(ListedInstrument(instrument_of("bybit", market_type, symbol)), 5.0)
    assert queries == [{"category": market_type, "symbol": symbol, "limit": limit}]

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from tapeline_producer.errors import ExchangeAnswerError, ExchangeRefusedError, ExchangeUnreachableError
from tapeline_producer.exchange.bybit.rest import Pace, Rest
from tapeline_producer.settings import Settings

Answer = Callable[[web.Request], web.Response]
Ask = Callable[[Answer], Any]


def ok(result: object) -> web.Response:
    return web.json_response({"retCode": 0, "retMsg": "", "result": result})


@pytest.fixture
async def rest_for() -> AsyncIterator[Ask]:
    """Makes a client of a server that answers everything with the given function."""
    opened: list[Any] = []

    async def make(answer: Answer) -> Rest:
        async def handle(request: web.Request) -> web.Response:
            return answer(request)

        app = web.Application()
        app.router.add_get("/{path:.*}", handle)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        rest = Rest(Settings(rest_url=f"http://127.0.0.1:{runner.addresses[0][1]}"), lambda: 1_790_000_000_000)
        opened.extend((rest.aclose, runner.cleanup))
        return rest

    yield make
    for close in opened:
        await close()


async def test_pace_lets_no_more_start_than_allowed_in_a_window() -> None:
    pace = Pace(3, 0.3)
    began = time.monotonic()
    times = []
    for _ in range(7):
        await pace.start()
        times.append(time.monotonic() - began)
    assert times[2] < 0.2 and times[3] >= 0.29 and times[6] >= 0.59


async def test_busy_exchange_is_asked_again_until_it_answers(rest_for: Ask) -> None:
    answers = [web.Response(status=503), web.json_response({"retCode": 10006, "retMsg": "Too many visits!"})]
    rest = await rest_for(lambda _: answers.pop() if answers else ok({"list": []}))
    assert (await rest.recent_trades("spot", "BTCUSDT", 5.0)).offered == 0


async def test_refusal_is_not_repeated_and_a_ban_stops_every_later_request(rest_for: Ask) -> None:
    asked: list[str] = []

    def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=403, text="access too frequent")

    rest = await rest_for(answer)
    for _ in range(3):
        with pytest.raises(ExchangeRefusedError, match="403"):
            await rest.recent_trades("spot", "BTCUSDT", 5.0)
    assert asked == ["/v5/market/recent-trade"]


async def test_pages_of_instruments_are_followed_with_the_cursor_decoded_once(rest_for: Ask) -> None:
    cursors: list[str] = []

    def answer(request: web.Request) -> web.Response:
        cursors.append(request.query.get("cursor", ""))
        more = "" if cursors[-1] else "first%3DA%26last%3DB"
        return ok({"list": [{"symbol": f"S{len(cursors)}", "status": "Trading"}], "nextPageCursor": more})

    rest = await rest_for(answer)
    assert [one.symbol for one in await rest.instruments("linear", 5.0)] == ["S1", "S2"]
    assert cursors == ["", "first=A&last=B"]


@pytest.mark.parametrize("body", ["", "<html>", "[]", '{"retCode":"0"}', '{"retCode":0,"result":{"list":7}}'])
async def test_answer_that_is_not_v5_is_named_as_such(rest_for: Ask, body: str) -> None:
    rest = await rest_for(lambda _: web.Response(text=body))
    with pytest.raises(ExchangeAnswerError, match="recent-trade"):
        await rest.recent_trades("spot", "BTCUSDT", 1.0)


async def test_exchange_that_is_away_is_unreachable_within_the_patience() -> None:
    rest = Rest(Settings(rest_url="http://127.0.0.1:9"), lambda: 0)
    with pytest.raises(ExchangeUnreachableError, match=r"127\.0\.0\.1:9"):
        async with asyncio.timeout(5):
            await rest.tickers("spot", 0.5)
    await rest.aclose()

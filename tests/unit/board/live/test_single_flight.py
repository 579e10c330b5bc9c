import asyncio

import pytest
from tapeline_board.errors import ElasticsearchTimeout
from tapeline_board.live.single_flight import SingleFlight


class Fetch:
    def __init__(self) -> None:
        self.count = 0
        self.may_respond = asyncio.Event()

    async def __call__(self) -> bytes:
        self.count += 1
        await self.may_respond.wait()
        return b"%d" % self.count


async def test_equal_concurrent_queries_run_once():
    single_flight, fetch = SingleFlight(0.0), Fetch()
    clients = [asyncio.create_task(single_flight.get("a", fetch)) for _ in range(100)]
    other = asyncio.create_task(single_flight.get("b", fetch))
    await asyncio.sleep(0)
    fetch.may_respond.set()
    assert len(set(await asyncio.gather(*clients))) == 1
    await other
    assert fetch.count == 2


async def test_a_response_is_reused_until_its_ttl():
    single_flight, fetch = SingleFlight(0.05), Fetch()
    fetch.may_respond.set()
    assert [await single_flight.get("a", fetch), await single_flight.get("a", fetch)] == [b"1", b"1"]
    await asyncio.sleep(0.08)
    assert await single_flight.get("a", fetch) == b"2"


async def test_a_failure_is_shared_and_not_cached():
    single_flight, tries = SingleFlight(60.0), []

    async def fetch() -> bytes:
        tries.append(1)
        await asyncio.sleep(0)
        if len(tries) == 1:
            raise ElasticsearchTimeout(1.0)
        return b"well"

    both = await asyncio.gather(single_flight.get("a", fetch), single_flight.get("a", fetch), return_exceptions=True)
    assert [type(one) for one in both] == [ElasticsearchTimeout] * 2
    assert await single_flight.get("a", fetch) == b"well"


async def test_a_cancelled_caller_does_not_affect_the_others():
    single_flight, fetch = SingleFlight(0.0), Fetch()
    first, second = (asyncio.create_task(single_flight.get("a", fetch)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    fetch.may_respond.set()
    assert await second == b"1"


async def test_the_cache_is_bounded():
    single_flight, fetch = SingleFlight(60.0), Fetch()
    fetch.may_respond.set()
    for number in range(1_000):
        await single_flight.get(number, fetch)
    assert len(single_flight._tasks) <= 256

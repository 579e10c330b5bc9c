import asyncio

import pytest
from tapeline_board.errors import ElasticsearchSlow
from tapeline_board.live.single_flight import Once


class Asked:
    def __init__(self) -> None:
        self.count = 0
        self.may_answer = asyncio.Event()

    async def __call__(self) -> bytes:
        self.count += 1
        await self.may_answer.wait()
        return b"%d" % self.count


async def test_the_same_question_at_the_same_time_is_asked_once():
    once, asked = Once(0.0), Asked()
    clients = [asyncio.create_task(once.get("a", asked)) for _ in range(100)]
    other = asyncio.create_task(once.get("b", asked))
    await asyncio.sleep(0)
    asked.may_answer.set()
    assert len(set(await asyncio.gather(*clients))) == 1
    await other
    assert asked.count == 2


async def test_an_answer_is_given_again_for_a_moment_only():
    once, asked = Once(0.05), Asked()
    asked.may_answer.set()
    assert [await once.get("a", asked), await once.get("a", asked)] == [b"1", b"1"]
    await asyncio.sleep(0.08)
    assert await once.get("a", asked) == b"2"


async def test_a_failure_is_shared_and_forgotten():
    once, tries = Once(60.0), []

    async def ask() -> bytes:
        tries.append(1)
        await asyncio.sleep(0)
        if len(tries) == 1:
            raise ElasticsearchSlow(1.0)
        return b"well"

    both = await asyncio.gather(once.get("a", ask), once.get("a", ask), return_exceptions=True)
    assert [type(one) for one in both] == [ElasticsearchSlow] * 2
    assert await once.get("a", ask) == b"well"


async def test_who_goes_away_takes_nothing_from_the_others():
    once, asked = Once(0.0), Asked()
    first, second = (asyncio.create_task(once.get("a", asked)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    asked.may_answer.set()
    assert await second == b"1"


async def test_what_is_kept_is_bounded():
    once, asked = Once(60.0), Asked()
    asked.may_answer.set()
    for number in range(1_000):
        await once.get(number, asked)
    assert len(once._tasks) <= 256

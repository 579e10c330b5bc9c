import asyncio
import itertools
import json

from support import aeventually
from tapeline_board.api.schemas.market import TapeAnswer, Told
from tapeline_board.errors import ElasticsearchSlow
from tapeline_board.live.availability import Availability
from tapeline_board.live.client_queue import Mailbox
from tapeline_board.live.poller import Feed, StatusFeed


class Source:
    """Answers with what stands next in `script`; the last stays."""

    def __init__(self, *script: Told | Exception | None) -> None:
        self.script = list(script)
        self.looks = 0
        self.known: Told | None = None

    async def look(self) -> Told | None:
        self.looks += 1
        step = self.script.pop(0) if self.script else None
        if isinstance(step, Exception):
            raise step
        self.known = step or self.known
        return step

    def whole(self) -> Told | None:
        return self.known


WHOLE = TapeAnswer(trades=[], is_cut=False)
NEWS = TapeAnswer(trades=[], is_cut=True, is_whole=False)
SLOW = ElasticsearchSlow(3.0)


def up() -> Availability:
    availability = Availability(itertools.count().__next__)
    availability.hold()
    return availability


def feed(source: Source) -> Feed:
    return Feed("tape", source, 0.01, 1.0)


async def events(mailbox: Mailbox, count: int) -> list[tuple[str, dict]]:
    found = []
    while len(found) < count:
        chunk = await mailbox.take(2.0)
        assert chunk is not None, found
        for text in chunk.decode().split("\n\n")[:-1]:
            name, data = text.split("\n")
            found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


async def running(one: Feed, availability: Availability) -> asyncio.Task[None]:
    return asyncio.create_task(one.run(availability))


async def test_everybody_gets_the_news_of_one_look():
    source = Source(WHOLE)
    one, clients = feed(source), [Mailbox() for _ in range(50)]
    for client in clients:
        one.add(client)
    task = await running(one, up())
    for client in clients:
        assert [told["is_whole"] for _, told in await events(client, 1)] == [True]
    source.script.append(NEWS)
    for client in clients:
        assert [told["is_whole"] for _, told in await events(client, 1)] == [False]
    task.cancel()


async def test_who_comes_later_is_told_the_whole_at_once():
    source = Source(WHOLE)
    one, late = feed(source), Mailbox()
    task = await running(one, up())
    await aeventually(lambda: source.looks > 2, "some looks")
    one.add(late)
    assert await events(late, 1) == [("tape", {"trades": [], "is_cut": False, "is_whole": True})]
    task.cancel()


async def test_while_elasticsearch_is_away_nobody_asks():
    source, availability = Source(WHOLE), Availability(itertools.count().__next__)
    one, client = feed(source), Mailbox()
    one.add(client)
    task = await running(one, availability)
    await asyncio.sleep(0.1)
    assert source.looks == 0
    availability.hold()
    await events(client, 1)
    task.cancel()


async def test_a_failure_is_told_once_and_the_whole_after_it():
    source = Source(WHOLE, SLOW, SLOW, ElasticsearchSlow(3.0), None, NEWS)
    one, client = feed(source), Mailbox()
    one.add(client)
    task = await running(one, up())
    told = await events(client, 3)
    assert [name for name, _ in told] == ["tape", "failed", "tape"]
    assert (told[1][1]["event"], told[1][1]["error"]) == ("tape", "elasticsearch_slow")
    assert told[2][1]["is_whole"]
    task.cancel()


async def test_who_comes_during_a_failure_is_told_the_last_state_and_the_failure():
    source = Source(WHOLE, *[SLOW] * 1_000)
    one, late = feed(source), Mailbox()
    task = await running(one, up())
    await aeventually(lambda: source.looks > 2, "some looks")
    one.add(late)
    assert [name for name, _ in await events(late, 2)] == ["tape", "failed"]
    task.cancel()


async def test_an_answer_that_cannot_be_read_ends_nothing(caplog):
    source = Source(KeyError("price"), ValueError("NaN"), WHOLE)
    one, client = feed(source), Mailbox()
    one.add(client)
    task = await running(one, up())
    told = await events(client, 2)
    assert [name for name, _ in told] == ["failed", "tape"]
    assert told[0][1]["error"] == "internal"
    assert "price" not in told[0][1]["message"]
    task.cancel()


async def test_it_rests_as_long_as_its_answers_take():
    class Slow(Source):
        async def look(self) -> Told | None:
            await asyncio.sleep(0.05)
            return await super().look()

    source = Slow()
    task = asyncio.create_task(Feed("tape", source, 0.001, 4.0).run(up()))
    await asyncio.sleep(0.6)
    task.cancel()
    assert 1 <= source.looks <= 3


async def test_every_change_of_the_status_is_told():
    availability = Availability(itertools.count().__next__)
    one, client = StatusFeed(availability), Mailbox()
    one.add(client)
    task = asyncio.create_task(one.run())
    assert [told["elasticsearch"] for _, told in await events(client, 1)] == ["away"]
    await asyncio.sleep(0)
    availability.hold()
    ((_, first),) = await events(client, 1)
    availability.fail("gone")
    ((_, second),) = await events(client, 1)
    assert (first["elasticsearch"], second["elasticsearch"], second["reason"]) == ("ok", "away", "gone")
    task.cancel()

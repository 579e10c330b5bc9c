import asyncio
import itertools
import json

from support import aeventually
from tapeline_board.api.schemas.common import ApiModel
from tapeline_board.api.schemas.market import TapeResponse
from tapeline_board.errors import ElasticsearchTimeout
from tapeline_board.live.availability import Availability
from tapeline_board.live.client_queue import ConflatingQueue
from tapeline_board.live.poller import Poller, StatusPublisher


class FakeSource:
    """Returns the next step of `script`; the last one stays the snapshot."""

    def __init__(self, *script: ApiModel | Exception | None) -> None:
        self.script = list(script)
        self.polls = 0
        self.known: ApiModel | None = None

    async def poll(self) -> ApiModel | None:
        self.polls += 1
        step = self.script.pop(0) if self.script else None
        if isinstance(step, Exception):
            raise step
        self.known = step or self.known
        return step

    def snapshot(self) -> ApiModel | None:
        return self.known


SNAPSHOT = TapeResponse(trades=[], is_truncated=False)
DELTA = TapeResponse(trades=[], is_truncated=True, is_snapshot=False)
TIMEOUT = ElasticsearchTimeout(3.0)


def available() -> Availability:
    availability = Availability(itertools.count().__next__)
    availability.mark_available()
    return availability


def poller(source: FakeSource) -> Poller:
    return Poller("tape", source, 0.01, 1.0)


async def events(queue: ConflatingQueue, count: int) -> list[tuple[str, dict]]:
    found = []
    while len(found) < count:
        chunk = await queue.get(2.0)
        assert chunk is not None, found
        for text in chunk.decode().split("\n\n")[:-1]:
            name, data = text.split("\n")
            found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


async def running(one: Poller, availability: Availability) -> asyncio.Task[None]:
    return asyncio.create_task(one.run(availability))


async def test_all_subscribers_get_the_delta_of_one_poll():
    source = FakeSource(SNAPSHOT)
    one, clients = poller(source), [ConflatingQueue() for _ in range(50)]
    for client in clients:
        one.subscribe(client)
    task = await running(one, available())
    for client in clients:
        assert [content["is_snapshot"] for _, content in await events(client, 1)] == [True]
    source.script.append(DELTA)
    for client in clients:
        assert [content["is_snapshot"] for _, content in await events(client, 1)] == [False]
    task.cancel()


async def test_a_late_subscriber_gets_the_snapshot_at_once():
    source = FakeSource(SNAPSHOT)
    one, late = poller(source), ConflatingQueue()
    task = await running(one, available())
    await aeventually(lambda: source.polls > 2, "some polls")
    one.subscribe(late)
    assert await events(late, 1) == [("tape", {"trades": [], "is_truncated": False, "is_snapshot": True})]
    task.cancel()


async def test_no_poll_while_elasticsearch_is_unavailable():
    source, availability = FakeSource(SNAPSHOT), Availability(itertools.count().__next__)
    one, client = poller(source), ConflatingQueue()
    one.subscribe(client)
    task = await running(one, availability)
    await asyncio.sleep(0.1)
    assert source.polls == 0
    availability.mark_available()
    await events(client, 1)
    task.cancel()


async def test_a_failure_is_published_once_and_a_snapshot_after_it():
    source = FakeSource(SNAPSHOT, TIMEOUT, TIMEOUT, ElasticsearchTimeout(3.0), None, DELTA)
    one, client = poller(source), ConflatingQueue()
    one.subscribe(client)
    task = await running(one, available())
    content = await events(client, 3)
    assert [name for name, _ in content] == ["tape", "failed", "tape"]
    assert (content[1][1]["event"], content[1][1]["error"]) == ("tape", "elasticsearch_timeout")
    assert content[2][1]["is_snapshot"]
    task.cancel()


async def test_a_subscriber_during_a_failure_gets_the_snapshot_and_the_failure():
    source = FakeSource(SNAPSHOT, *[TIMEOUT] * 1_000)
    one, late = poller(source), ConflatingQueue()
    task = await running(one, available())
    await aeventually(lambda: source.polls > 2, "some polls")
    one.subscribe(late)
    assert [name for name, _ in await events(late, 2)] == ["tape", "failed"]
    task.cancel()


async def test_a_response_that_cannot_be_parsed_ends_no_stream(caplog):
    source = FakeSource(KeyError("price"), ValueError("NaN"), SNAPSHOT)
    one, client = poller(source), ConflatingQueue()
    one.subscribe(client)
    task = await running(one, available())
    content = await events(client, 2)
    assert [name for name, _ in content] == ["failed", "tape"]
    assert content[0][1]["error"] == "internal"
    assert "price" not in content[0][1]["message"]
    task.cancel()


async def test_it_pauses_in_proportion_to_the_query_time():
    class Slow(FakeSource):
        async def poll(self) -> ApiModel | None:
            await asyncio.sleep(0.05)
            return await super().poll()

    source = Slow()
    task = asyncio.create_task(Poller("tape", source, 0.001, 4.0).run(available()))
    await asyncio.sleep(0.6)
    task.cancel()
    assert 1 <= source.polls <= 3


async def test_every_change_of_the_status_is_published():
    availability = Availability(itertools.count().__next__)
    one, client = StatusPublisher(availability), ConflatingQueue()
    one.subscribe(client)
    task = asyncio.create_task(one.run())
    assert [content["elasticsearch"] for _, content in await events(client, 1)] == ["unavailable"]
    await asyncio.sleep(0)
    availability.mark_available()
    ((_, first),) = await events(client, 1)
    availability.mark_unavailable("gone")
    ((_, second),) = await events(client, 1)
    assert (first["elasticsearch"], second["elasticsearch"], second["reason"]) == ("available", "unavailable", "gone")
    task.cancel()

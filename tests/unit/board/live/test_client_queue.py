import asyncio

import pytest
from tapeline_board.api.schemas.common import StatusResponse
from tapeline_board.live.client_queue import ConflatingQueue, encode_event


class FakePublisher:
    event = "tape"

    def __init__(self, name: bytes) -> None:
        self.name = name

    def snapshot(self) -> bytes:
        return b"snapshot of " + self.name


A, B = FakePublisher(b"A"), FakePublisher(b"B")


async def drain(queue: ConflatingQueue) -> list[bytes]:
    found = []
    while (chunk := await queue.get(0.01)) is not None:
        found.append(chunk)
    return found


async def test_events_are_returned_in_order():
    queue = ConflatingQueue()
    queue.put(A, b"a")
    queue.put(B, None)
    assert await drain(queue) == [b"a", b"snapshot of B"]
    assert await drain(queue) == []


async def test_a_slow_client_gets_one_snapshot_however_many_events_it_missed():
    queue = ConflatingQueue()
    for number in range(10_000):
        queue.put(A, b"%d" % number)
        queue.put(B, b"%d" % number)
    assert len(queue._pending) == 2
    assert await drain(queue) == [b"snapshot of A", b"snapshot of B"]
    queue.put(A, b"delta")
    assert await drain(queue) == [b"delta"]


async def test_waiting_ends_with_an_event_with_the_time_out_and_with_the_queue():
    queue = ConflatingQueue()
    waiting = asyncio.create_task(queue.get(5.0))
    await asyncio.sleep(0)
    queue.put(A, b"a")
    assert await waiting == b"a"
    assert await queue.get(0.001) is None
    waiting = asyncio.create_task(queue.get(5.0))
    await asyncio.sleep(0)
    queue.close()
    assert (await waiting, queue.is_closed) == (None, True)


@pytest.mark.parametrize("reason", ["two\nlines", "return\rhere", "\u2028 and \x00", None])
def test_an_event_is_two_lines_whatever_its_content(reason):
    status = StatusResponse(at=1, elasticsearch="unavailable", reason=reason, since_at=1)
    lines = encode_event("status", status).split(b"\n")
    assert (lines[0], lines[2:]) == (b"event: status", [b"", b""])
    assert StatusResponse.model_validate_json(lines[1].removeprefix(b"data: ")) == status
    assert b"\r" not in lines[1]

import asyncio

import pytest
from tapeline_board.api.schemas.market import StatusAnswer
from tapeline_board.live.client_queue import Mailbox, encoded


class Sender:
    event = "tape"

    def __init__(self, name: bytes) -> None:
        self.name = name

    def whole(self) -> bytes:
        return b"whole of " + self.name


A, B = Sender(b"A"), Sender(b"B")


async def taken(mailbox: Mailbox) -> list[bytes]:
    found = []
    while (chunk := await mailbox.take(0.01)) is not None:
        found.append(chunk)
    return found


async def test_news_are_taken_in_the_order_of_their_coming():
    mailbox = Mailbox()
    mailbox.put(A, b"a")
    mailbox.put(B, None)
    assert await taken(mailbox) == [b"a", b"whole of B"]
    assert await taken(mailbox) == []


async def test_who_does_not_take_gets_the_whole_once_however_much_was_missed():
    mailbox = Mailbox()
    for number in range(10_000):
        mailbox.put(A, b"%d" % number)
        mailbox.put(B, b"%d" % number)
    assert len(mailbox._pending) == 2
    assert await taken(mailbox) == [b"whole of A", b"whole of B"]
    mailbox.put(A, b"news")
    assert await taken(mailbox) == [b"news"]


async def test_waiting_ends_with_news_with_patience_and_with_the_mailbox():
    mailbox = Mailbox()
    waiting = asyncio.create_task(mailbox.take(5.0))
    await asyncio.sleep(0)
    mailbox.put(A, b"a")
    assert await waiting == b"a"
    assert await mailbox.take(0.001) is None
    waiting = asyncio.create_task(mailbox.take(5.0))
    await asyncio.sleep(0)
    mailbox.close()
    assert (await waiting, mailbox.is_closed) == (None, True)


@pytest.mark.parametrize("reason", ["two\nlines", "return\rhere", "\u2028 and \x00", None])
def test_an_event_is_two_lines_whatever_is_in_it(reason):
    told = StatusAnswer(at=1, elasticsearch="away", reason=reason, since_at=1)
    lines = encoded("status", told).split(b"\n")
    assert (lines[0], lines[2:]) == (b"event: status", [b"", b""])
    assert StatusAnswer.model_validate_json(lines[1].removeprefix(b"data: ")) == told
    assert b"\r" not in lines[1]

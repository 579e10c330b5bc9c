import asyncio
from collections.abc import Callable

import orjson
import pytest
from tapeline_inference.limits import BodyLimiter, Message


class Exchange:
    """One request driven by hand: chunks go in, messages come out."""

    def __init__(self, *chunks: bytes | None, length: str | None = None, method: str = "POST") -> None:
        headers = [] if length is None else [(b"content-length", length.encode())]
        self.scope: Message = {"type": "http", "method": method, "headers": headers}
        self.chunks, self.sent, self.received = list(chunks), [], 0
        self.silent = False

    async def receive(self) -> Message:
        if not self.chunks and self.silent:
            await asyncio.Event().wait()
        self.received += 1
        chunk = self.chunks.pop(0) if self.chunks else b"x" * 10
        more = self.silent or bool(self.chunks)
        return (
            {"type": "http.disconnect"} if chunk is None else {"body": chunk, "more_body": more, "type": "http.request"}
        )

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return self.sent[0]["status"]

    @property
    def error(self) -> str:
        return orjson.loads(self.sent[1]["body"])["error"]


async def echo(scope: Message, receive: Callable, send: Callable) -> None:
    message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": message["body"]})


def limiter(timeout_s: float = 5.0, requests_max: int = 2, app: Callable = echo) -> BodyLimiter:
    return BodyLimiter(app, bytes_max=100, timeout_s=timeout_s, requests_max=requests_max)


async def test_a_body_in_pieces_reaches_the_application_whole() -> None:
    exchange = Exchange(b"one", b"", b"two", length="6")
    await limiter()(exchange.scope, exchange.receive, exchange.send)
    assert (exchange.status, exchange.sent[1]["body"]) == (200, b"onetwo")


async def test_a_body_at_the_limit_passes_and_one_byte_more_does_not() -> None:
    for size, status in ((100, 200), (101, 413)):
        exchange = Exchange(b"x" * size)
        await limiter()(exchange.scope, exchange.receive, exchange.send)
        assert exchange.status == status


async def test_a_body_announced_too_long_is_refused_before_it_is_read() -> None:
    exchange = Exchange(b"x", length=str(100 * 1024**2))
    await limiter()(exchange.scope, exchange.receive, exchange.send)
    assert (exchange.status, exchange.error, exchange.received) == (413, "body_too_large", 0)
    assert (b"connection", b"close") in exchange.sent[0]["headers"]


async def test_an_endless_body_is_cut_where_it_passes_the_limit() -> None:
    exchange = Exchange(*[b"x" * 30] * 1_000)
    await limiter()(exchange.scope, exchange.receive, exchange.send)
    assert (exchange.status, exchange.received) == (413, 4)


@pytest.mark.parametrize("length", ["-1", "1e3", "", "9" * 30])
async def test_a_length_that_is_no_number_is_malformed(length: str) -> None:
    exchange = Exchange(b"x", length=length)
    await limiter()(exchange.scope, exchange.receive, exchange.send)
    assert (exchange.status, exchange.error) == (400, "malformed")


async def test_a_body_that_does_not_end_in_time_is_refused() -> None:
    exchange = Exchange(b"x")
    exchange.silent = True
    await limiter(timeout_s=0.05)(exchange.scope, exchange.receive, exchange.send)
    assert (exchange.status, exchange.error) == (408, "body_too_slow")


async def test_a_client_that_hangs_up_gets_no_answer() -> None:
    exchange = Exchange(b"x", None)
    await limiter()(exchange.scope, exchange.receive, exchange.send)
    assert exchange.sent == []


async def test_requests_beyond_the_limit_get_a_retry_after() -> None:
    waiting = [Exchange(), Exchange()]
    wrapped = limiter(requests_max=2)
    for exchange in waiting:
        exchange.silent = True
    tasks = [asyncio.create_task(wrapped(one.scope, one.receive, one.send)) for one in waiting]
    await asyncio.sleep(0)
    late = Exchange(b"x")
    await wrapped(late.scope, late.receive, late.send)
    assert (late.status, late.error) == (503, "overloaded")
    assert (b"retry-after", b"1") in late.sent[0]["headers"]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    freed = Exchange(b"x")
    await wrapped(freed.scope, freed.receive, freed.send)
    assert freed.status == 200


async def test_a_get_is_answered_even_when_no_more_bodies_are_taken() -> None:
    exchange = Exchange(b"", method="GET")
    await limiter(requests_max=0)(exchange.scope, exchange.receive, exchange.send)
    assert exchange.status == 200


async def test_an_application_that_fails_gives_its_place_back() -> None:
    async def failing(scope: Message, receive: Callable, send: Callable) -> None:
        raise LookupError

    wrapped = limiter(requests_max=1, app=failing)
    for _ in range(3):
        exchange = Exchange(b"x")
        with pytest.raises(LookupError):
            await wrapped(exchange.scope, exchange.receive, exchange.send)

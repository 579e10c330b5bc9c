"""The life of the service: wait for Kafka, resume, choose symbols, stay connected, flush at the end.

Not here: the process (signals, exit code) in __main__.py.
To start another part with the service: add it to `_serve`.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, TypeVar

from tapeline_producer import bybit, resume
from tapeline_producer.continuity import Histories
from tapeline_producer.errors import (
    FatalKafkaError,
    KafkaUnreachableError,
    NothingSelectedError,
    ProducerError,
    TopicMissingError,
)
from tapeline_producer.feed import Feed
from tapeline_producer.intake import Intake
from tapeline_producer.metrics import Metrics
from tapeline_producer.publish import Publisher
from tapeline_producer.rest import Rest
from tapeline_producer.rhythm import Backoff
from tapeline_producer.selection import Selection, select
from tapeline_producer.settings import Settings
from tapeline_producer.status import EXCHANGE, KAFKA, Status
from tapeline_producer.subscription import Subscriptions

log = logging.getLogger(__name__)

T = TypeVar("T")
FLUSH_S: Final = 10.0
_BEAT_S: Final = 1.0
_SELECT_PATIENCE_S: Final = 5.0


def clock_ms() -> int:
    """Return our clock, ms UTC."""
    return time.time_ns() // 1_000_000


async def run(settings: Settings, metrics: Metrics, status: Status, is_stopping: Callable[[], bool]) -> None:
    """Run until cancelled; what waits is flushed before this returns.

    Args:
        settings: all of it.
        metrics: what is counted.
        status: told what holds.
        is_stopping: true once the process is to end; asked from another thread.

    Raises:
        ProducerError: the service cannot go on.
    """
    publisher = Publisher(settings, metrics, clock_ms)
    rest = Rest(settings, clock_ms)
    beating = asyncio.create_task(_beat(status))
    try:
        await _serve(settings, metrics, status, publisher, rest, is_stopping)
    finally:
        left = await publisher.close(FLUSH_S)
        log.info("flushed", extra={"records_left": left})
        await rest.aclose()
        beating.cancel()


async def _serve(
    settings: Settings,
    metrics: Metrics,
    status: Status,
    publisher: Publisher,
    rest: Rest,
    is_stopping: Callable[[], bool],
) -> None:
    histories = await _resumed(settings, publisher, status, is_stopping)
    selections = await _selected(settings, rest, status)
    intake = Intake(settings, histories, publisher, rest, metrics, clock_ms)
    feeds = list(_feeds(settings, selections, intake, status, metrics))
    tasks: list[asyncio.Future[Any]] = [
        *(asyncio.create_task(feed.run()) for feed in feeds),
        asyncio.create_task(publisher.keep_pumping()),
        asyncio.create_task(_watch_kafka(settings, publisher, status)),
    ]
    try:
        await asyncio.wait([*tasks, publisher.fatal], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await intake.stop()
    if publisher.fatal.done():
        raise FatalKafkaError(publisher.fatal.result())
    for task in tasks:
        if not task.cancelled():
            task.result()


async def _resumed(
    settings: Settings, publisher: Publisher, status: Status, is_stopping: Callable[[], bool]
) -> Histories:
    def attempt() -> Histories:
        publisher.check()
        return resume.read(settings, publisher.admission, is_stopping)

    histories = await _insist(lambda: asyncio.to_thread(attempt), settings, status, KAFKA)
    status.hold(KAFKA)
    return histories


async def _selected(settings: Settings, rest: Rest, status: Status) -> dict[str, Selection]:
    async def one(category: str) -> Selection:
        instruments = await rest.instruments(category, _SELECT_PATIENCE_S)
        tickers = [] if settings.symbols else await rest.tickers(category, _SELECT_PATIENCE_S)
        return select(settings.symbols, instruments, tickers, settings.quote, settings.top)

    found = {}
    for category in settings.categories:
        selection = await _insist(lambda name=category: one(name), settings, status, EXCHANGE)  # type: ignore[misc]
        found[category] = selection
        what = {"category": category, "symbols": list(selection.listed)}
        log.info("symbols selected", extra=what)
        for symbol in selection.unlisted:
            what = {"category": category, "symbol": symbol}
            log.error("a symbol named in PRODUCER_SYMBOLS does not trade there; name another", extra=what)
    if not any(selection.listed for selection in found.values()):
        raise NothingSelectedError(settings.categories, settings.quote)
    return found


async def _insist(attempt: Callable[[], Awaitable[T]], settings: Settings, status: Status, condition: str) -> T:
    """Try until it works, saying why not: once for each new reason."""
    backoff = Backoff(settings.reconnect_min_s, settings.reconnect_max_s, random.random)
    told = ""
    while True:
        try:
            return await attempt()
        except ProducerError as error:
            status.fail(condition, str(error))
            if str(error) != told:
                told = str(error)
                log.error("%s; trying again", error)
        await asyncio.sleep(backoff.next_s())


def _feeds(
    settings: Settings, selections: dict[str, Selection], intake: Intake, status: Status, metrics: Metrics
) -> Iterator[Feed]:
    for category, selection in selections.items():
        unlisted = dict.fromkeys(selection.unlisted, "not listed by instruments-info")
        for number, symbols in enumerate(bybit.connections(selection.listed) or [()], 1):
            mine = unlisted if number == 1 else {}
            if symbols or mine:
                subscriptions = Subscriptions(category, symbols, mine, settings.ack_s, settings.refused_retry_s)
                yield Feed(f"{category}-{number}", category, subscriptions, settings, intake, status, metrics, clock_ms)


async def _watch_kafka(settings: Settings, publisher: Publisher, status: Status) -> None:
    is_well = True
    while True:
        try:
            await asyncio.to_thread(publisher.check)
        except (KafkaUnreachableError, TopicMissingError) as error:
            status.fail(KAFKA, str(error))
            if is_well:
                log.error("%s", error)
            is_well = False
        else:
            status.hold(KAFKA)
            if not is_well:
                log.info("Kafka is back")
            is_well = True
        await asyncio.sleep(settings.kafka_check_s)


async def _beat(status: Status) -> None:
    while True:
        status.beat()
        await asyncio.sleep(_BEAT_S)

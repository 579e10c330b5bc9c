"""The life of the service: wait for Kafka, choose symbols, follow those that are ours, hand over and flush at the end.

Not here: the process (signals, exit code) in __main__.py; what to do about symbols in roster.py.
To start another part with the service: add it to `_serve`.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final, TypeVar

from tapeline_producer.connection.pool import Pool
from tapeline_producer.connection.stall_detector import Backoff
from tapeline_producer.coordinator import Roster
from tapeline_producer.errors import (
    FatalKafkaError,
    KafkaUnreachableError,
    NothingSelectedError,
    ProducerError,
    TopicMissingError,
)
from tapeline_producer.exchange.bybit.rest import Rest
from tapeline_producer.exchange.symbol_selection import Selection, select
from tapeline_producer.gaps import log_tail
from tapeline_producer.gaps.log_catchup import Witness
from tapeline_producer.kafka.count_publisher import Teller
from tapeline_producer.kafka.trade_writer import Publisher
from tapeline_producer.metrics import Metrics
from tapeline_producer.pipeline import Intake
from tapeline_producer.readiness import EXCHANGE, GROUP, KAFKA, Status
from tapeline_producer.settings import Settings
from tapeline_producer.sharding.group_member import Membership
from tapeline_producer.sharding.shards import Shares

log = logging.getLogger(__name__)

T = TypeVar("T")
FLUSH_S: Final = 10.0
_TELL_S: Final = 4.0
_BEAT_S: Final = 1.0
_SELECT_PATIENCE_S: Final = 5.0


def clock_ms() -> int:
    """Return our clock, ms UTC."""
    return time.time_ns() // 1_000_000


async def run(settings: Settings, metrics: Metrics, status: Status, is_stopping: Callable[[], bool]) -> None:
    """Run until cancelled; what is ours is handed over and what waits is flushed before this returns.

    Args:
        settings: all of it.
        metrics: what is counted.
        status: told what holds.
        is_stopping: true once the process is to end; asked from another thread.

    Raises:
        ProducerError: the service cannot go on.
        InvalidConnection: password or authorities cannot be read.
    """
    publisher = Publisher(settings, metrics, clock_ms)
    teller = Teller(settings, publisher.counts, metrics, clock_ms)
    rest = Rest(settings, clock_ms)
    beating = [asyncio.create_task(_beat(status)), asyncio.create_task(teller.run())]
    try:
        await _Service(settings, metrics, status, publisher, rest, is_stopping).serve()
    finally:
        left = await publisher.close(FLUSH_S)
        for task in beating:
            task.cancel()
        # What the trades found no Kafka for in that time, the counts of them need not try.
        untold = await teller.close(0.0 if left else _TELL_S)
        log.info("flushed", extra={"records_left": left, "counts_left": untold})
        await rest.aclose()


class _Service:
    """What runs between the first sign of Kafka and the end."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        status: Status,
        publisher: Publisher,
        rest: Rest,
        is_stopping: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._status = status
        self._publisher = publisher
        self._rest = rest
        self._is_stopping = is_stopping
        shares = Shares(1, settings.handover_s)
        witness = Witness(self._read_on) if settings.group else None
        self._intake = Intake(settings, publisher, rest, metrics, clock_ms, witness)
        self._pool = Pool(settings, self._intake, status, metrics, clock_ms)
        self._roster = Roster(shares, self._pool, self._intake, status, metrics, self._resumed)
        self._roster.witness = witness
        if not settings.group:
            shares.assigned([0], time.monotonic())
        publisher.is_mute = lambda market_type, symbol: not shares.reports(market_type, symbol)

    async def serve(self) -> None:
        """Run until cancelled or until a part of it ends."""
        settings, publisher = self._settings, self._publisher
        self._roster.deal(await self._insist(lambda: asyncio.to_thread(publisher.check), KAFKA))
        await self._select()
        membership = self._member() if settings.group else None
        tasks: list[asyncio.Future[Any]] = [
            *(asyncio.create_task(part) for part in (self._roster.run(), publisher.keep_pumping())),
            *(asyncio.create_task(part) for part in (self._watch_kafka(), self._reselect())),
            self._pool.failed,
            *([membership.ended] if membership else []),
        ]
        try:
            await asyncio.wait([*tasks, publisher.fatal], return_when=asyncio.FIRST_COMPLETED)
        finally:
            if membership is not None:
                await self._leave(membership)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._pool.close()
            await self._intake.stop()
        if publisher.fatal.done():
            raise FatalKafkaError(publisher.fatal.result())
        for task in tasks:
            if not task.cancelled():
                task.result()

    def _member(self) -> Membership:
        """Join the group, which says what is ours."""

        def trouble(reason: str) -> None:
            self._status.fail(GROUP, reason)

        membership = Membership(self._settings, self._roster, self._publisher.flushed, trouble)
        self._roster.when_taken_up = membership.taken_up
        membership.start()
        return membership

    async def _leave(self, membership: Membership) -> None:
        """Hand over if that was asked for; when something broke, others find what we leave in the log."""
        try:
            if self._is_stopping():
                await membership.leave()
        finally:
            await membership.close()

    async def _resumed(self, keys: Collection[log_tail.Key]) -> log_tail.Reading:
        reading = await self._insist(
            lambda: asyncio.to_thread(log_tail.read, self._settings, keys, self._is_stopping), KAFKA
        )
        self._status.hold(KAFKA)
        if self._is_stopping():
            # It ended early, and the symbols it is about will be another's.
            await asyncio.Event().wait()
        return reading

    def _read_on(self, keys: Collection[log_tail.Key], since: Mapping[int, int]) -> list[log_tail.Stored]:
        return log_tail.read_on(self._settings, keys, since)

    async def _select(self) -> None:
        settings = self._settings
        found = {}
        for market_type in settings.market_types:
            found[market_type] = await self._insist(lambda name=market_type: self._choose(name), EXCHANGE)  # type: ignore[misc]
        if not any(selection.listed for selection in found.values()):
            raise NothingSelectedError(settings.market_types, settings.quote)
        self._roster.select(found)

    async def _choose(self, market_type: str) -> Selection:
        settings, rest = self._settings, self._rest
        instruments = await rest.instruments(market_type, _SELECT_PATIENCE_S)
        tickers = [] if settings.symbols else await rest.tickers(market_type, _SELECT_PATIENCE_S)
        selection = select(settings.symbols, instruments, tickers, settings.quote, settings.top)
        log.info("symbols selected", extra={"market_type": market_type, "symbols": list(selection.listed)})
        for symbol in selection.unlisted:
            what = {"market_type": market_type, "symbol": symbol}
            log.error("a symbol named in PRODUCER_SYMBOLS does not trade there; name another", extra=what)
        return selection

    async def _reselect(self) -> None:
        """Choose by turnover from time to time, all replicas at the same moments, so that they see the same."""
        interval_s = self._settings.reselect_s
        while True:
            if self._settings.symbols or interval_s == 0:
                await asyncio.Event().wait()
            await asyncio.sleep(interval_s - time.time() % interval_s)
            try:
                found = {market_type: await self._choose(market_type) for market_type in self._settings.market_types}
            except ProducerError as error:
                log.warning("the symbols stay as they are: %s", error)
            else:
                if any(selection.listed for selection in found.values()):
                    self._roster.select(found)

    async def _insist(self, attempt: Callable[[], Awaitable[T]], condition: str) -> T:
        """Try until it works, saying why not: once for each new reason."""
        settings = self._settings
        backoff = Backoff(settings.reconnect_min_s, settings.reconnect_max_s, random.random)
        told = ""
        while True:
            try:
                return await attempt()
            except ProducerError as error:
                self._status.fail(condition, str(error))
                if str(error) != told:
                    told = str(error)
                    log.error("%s; trying again", error)
            await asyncio.sleep(backoff.next_s())

    async def _watch_kafka(self) -> None:
        is_well = True
        while True:
            try:
                self._roster.deal(await asyncio.to_thread(self._publisher.check))
            except (KafkaUnreachableError, TopicMissingError) as error:
                self._status.fail(KAFKA, str(error))
                if is_well:
                    log.error("%s", error)
                is_well = False
            else:
                self._status.hold(KAFKA)
                if not is_well:
                    log.info("Kafka is back")
                is_well = True
            await asyncio.sleep(self._settings.kafka_check_s)


async def _beat(status: Status) -> None:
    while True:
        status.beat()
        await asyncio.sleep(_BEAT_S)

"""Runs the service: waits for Kafka, selects symbols, subscribes the owned ones, hands over and flushes at the end.

Not here: the process (signals, exit code) in __main__.py; the subscriptions of symbols in coordinator.py.
To start another part with the service: add it to `serve`.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from typing import Any, Final, TypeVar

from tapeline.enums import MarketType
from tapeline.instrument import Instrument
from tapeline.service.clock import now_ms
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from tapeline_producer.connection.backoff import backoff
from tapeline_producer.connection.pool import ConnectionPool
from tapeline_producer.coordinator import SubscriptionCoordinator
from tapeline_producer.errors import (
    FatalKafkaError,
    KafkaUnreachableError,
    NothingSelectedError,
    ProducerError,
    TopicMissingError,
)
from tapeline_producer.exchange.bybit.rest import RestClient
from tapeline_producer.exchange.symbol_selection import Market, SymbolSelection, select_symbols
from tapeline_producer.gaps import log_tail
from tapeline_producer.gaps.log_catchup import LogCatchUp
from tapeline_producer.kafka.count_publisher import CountPublisher
from tapeline_producer.kafka.trade_writer import TradeWriter
from tapeline_producer.metrics import Metrics
from tapeline_producer.pipeline import TradePipeline
from tapeline_producer.readiness import EXCHANGE, GROUP, KAFKA, Readiness
from tapeline_producer.settings import Settings
from tapeline_producer.sharding.group_member import GroupMember
from tapeline_producer.sharding.shards import ShardMap

log = logging.getLogger(__name__)

T = TypeVar("T")
FLUSH_S: Final = 10.0
_COUNTS_FLUSH_S: Final = 4.0
_HEARTBEAT_S: Final = 1.0
_SELECT_TIMEOUT_S: Final = 5.0


async def run(settings: Settings, metrics: Metrics, readiness: Readiness, is_stopping: Callable[[], bool]) -> None:
    """Run until cancelled; owned shards are handed over and buffered records are flushed before this returns.

    Args:
        settings: all of it.
        metrics: counters and gauges.
        readiness: receives the state of each condition.
        is_stopping: true once the process is stopping; called from another thread.

    Raises:
        ProducerError: the service cannot continue.
        InvalidConnection: password or authorities cannot be read.
    """
    shards = ShardMap(1, settings.handover_s)
    writer = TradeWriter(settings, metrics, now_ms, lambda instrument: not shards.owns(instrument))
    count_publisher = CountPublisher(settings, writer.counters, metrics, now_ms)
    rest = RestClient(settings, now_ms)
    background = [asyncio.create_task(_send_heartbeats(readiness)), asyncio.create_task(count_publisher.run())]
    try:
        await _Service(settings, metrics, readiness, shards, writer, rest, is_stopping).serve()
    finally:
        records_left = await writer.close(FLUSH_S)
        for task in background:
            task.cancel()
        # Where Kafka did not acknowledge the trades in that time, the counts are not tried.
        counts_left = await count_publisher.close(0.0 if records_left else _COUNTS_FLUSH_S)
        log.info("flushed", extra={"records_left": records_left, "counts_left": counts_left})
        await rest.aclose()


class _Service:
    """The parts that run between the first contact with Kafka and the end."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        readiness: Readiness,
        shards: ShardMap,
        writer: TradeWriter,
        rest: RestClient,
        is_stopping: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._readiness = readiness
        self._writer = writer
        self._rest = rest
        self._is_stopping = is_stopping
        self._live_shards: deque[set[int]] = deque()
        catchup = LogCatchUp(self._read_since) if settings.group else None
        self._pipeline = TradePipeline(settings, writer, rest, metrics, now_ms, catchup)
        self._pool = ConnectionPool(settings, self._pipeline, readiness, metrics, now_ms)
        self._coordinator = SubscriptionCoordinator(
            shards,
            self._pool,
            self._pipeline,
            readiness,
            metrics,
            self._read_tail,
            catchup,
            self._live_shards.append,
        )
        if not settings.group:
            shards.mark_assigned([0], time.monotonic())

    async def serve(self) -> None:
        """Run until cancelled or until a part of it ends."""
        settings, writer = self._settings, self._writer
        self._coordinator.set_shard_count(await self._retry(lambda: asyncio.to_thread(writer.check_topics), KAFKA))
        await self._select_at_start()
        member = self._join_group() if settings.group else None
        tasks: list[asyncio.Future[Any]] = [
            *(asyncio.create_task(part) for part in (self._coordinator.run(), writer.run())),
            *(asyncio.create_task(part) for part in (self._monitor_kafka(), self._reselect())),
            self._pool.failed,
            *([member.ended] if member else []),
        ]
        try:
            await asyncio.wait([*tasks, writer.fatal_error], return_when=asyncio.FIRST_COMPLETED)
        finally:
            if member is not None:
                await self._leave_group(member)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._pool.close()
            await self._pipeline.stop()
        if writer.fatal_error.done():
            raise FatalKafkaError(writer.fatal_error.result())
        for task in tasks:
            if not task.cancelled():
                task.result()

    def _join_group(self) -> GroupMember:
        """Join the group, which assigns the shards."""

        def on_error(reason: str) -> None:
            self._readiness.set_unready(GROUP, reason)

        member = GroupMember(self._settings, self._coordinator, self._live_shards, self._writer.flush, on_error)
        member.start()
        return member

    async def _leave_group(self, member: GroupMember) -> None:
        """Hand over if the process is stopping; after a failure the other replicas read the log instead."""
        try:
            if self._is_stopping():
                await member.leave()
        finally:
            await member.close()

    async def _read_tail(self, instruments: Collection[Instrument]) -> log_tail.LogTail:
        tail = await self._retry(
            lambda: asyncio.to_thread(log_tail.read_tail, self._settings, instruments, self._is_stopping), KAFKA
        )
        self._readiness.set_ready(KAFKA)
        if self._is_stopping():
            # The reading ended early, and another replica will own these instruments.
            await asyncio.Event().wait()
        return tail

    def _read_since(
        self, instruments: Collection[Instrument], since: Mapping[log_tail.LogPartition, int]
    ) -> list[log_tail.LoggedTrade]:
        return log_tail.read_since(self._settings, instruments, since)

    async def _select_at_start(self) -> None:
        settings = self._settings
        found = [await self._retry(partial(self._select, one), EXCHANGE) for one in settings.market_types]
        if not any(selection.listed for selection in found):
            raise NothingSelectedError(settings.market_types, settings.quote)
        self._coordinator.set_selection(found)

    async def _select(self, market_type: MarketType) -> SymbolSelection:
        settings, rest = self._settings, self._rest
        infos = await rest.instruments(market_type, _SELECT_TIMEOUT_S)
        tickers = [] if settings.symbols else await rest.tickers(market_type, _SELECT_TIMEOUT_S)
        market = Market(rest.venue, market_type)
        selection = select_symbols(market, settings.symbols, infos, tickers, settings.quote, settings.top)
        symbols = [one.instrument.symbol for one in selection.listed]
        log.info("symbols selected", extra={"market_type": market_type, "symbols": symbols})
        for one in selection.unlisted:
            fields = {"instrument": str(one.instrument)}
            log.error("a symbol in PRODUCER_SYMBOLS is not traded in this market; name another", extra=fields)
        return selection

    async def _reselect(self) -> None:
        """Select by turnover at whole multiples of the interval, so that all replicas select from the same data."""
        interval_s = self._settings.reselect_s
        while True:
            if self._settings.symbols or interval_s == 0:
                await asyncio.Event().wait()
            await asyncio.sleep(interval_s - time.time() % interval_s)
            try:
                found = [await self._select(market_type) for market_type in self._settings.market_types]
            except ProducerError as error:
                log.warning("symbol selection failed; keeping the previous one: %s", error)
            else:
                if any(selection.listed for selection in found):
                    self._coordinator.set_selection(found)

    async def _retry(self, attempt: Callable[[], Awaitable[T]], condition: str) -> T:
        """Retry until the attempt succeeds; log each new reason once."""
        last_error = ""

        def report(state: RetryCallState) -> None:
            nonlocal last_error
            error = str(state.outcome.exception())  # type: ignore[union-attr]
            self._readiness.set_unready(condition, error)
            if error != last_error:
                last_error = error
                log.error("%s; retrying", error)

        attempts = AsyncRetrying(
            retry=retry_if_exception_type(ProducerError),
            wait=backoff(self._settings.reconnect_min_s, self._settings.reconnect_max_s),
            before_sleep=report,
        )

        async def awaited() -> T:
            # tenacity awaits only what is a coroutine function by itself, and a lambda is none.
            return await attempt()

        result: T = await attempts(awaited)
        return result

    async def _monitor_kafka(self) -> None:
        is_healthy = True
        while True:
            try:
                self._coordinator.set_shard_count(await asyncio.to_thread(self._writer.check_topics))
            except (KafkaUnreachableError, TopicMissingError) as error:
                self._readiness.set_unready(KAFKA, str(error))
                if is_healthy:
                    log.error("%s", error)
                is_healthy = False
            else:
                self._readiness.set_ready(KAFKA)
                if not is_healthy:
                    log.info("Kafka recovered")
                is_healthy = True
            await asyncio.sleep(self._settings.kafka_check_s)


async def _send_heartbeats(readiness: Readiness) -> None:
    while True:
        readiness.beat()
        await asyncio.sleep(_HEARTBEAT_S)

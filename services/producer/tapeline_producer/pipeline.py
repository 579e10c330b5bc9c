"""Passes trades from the connections through gap detection to Kafka, and runs the back-fills.

Thin: the rules are in gaps/gap_detector.py. There is one back-fill a symbol and break.
To process every trade: extend `_write`.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable

from tapeline import names

from tapeline_producer.errors import ProducerError
from tapeline_producer.exchange.bybit import messages
from tapeline_producer.exchange.bybit.rest import RestClient
from tapeline_producer.gaps.gap_detector import Released, SequenceTracker, SequenceTrackers
from tapeline_producer.gaps.log_catchup import LogCatchUp
from tapeline_producer.kafka.trade_writer import TradeWriter
from tapeline_producer.metrics import Metrics
from tapeline_producer.settings import Settings

log = logging.getLogger(__name__)


class TradePipeline:
    """Takes the trades and breaks of all connections."""

    def __init__(
        self,
        settings: Settings,
        writer: TradeWriter,
        rest: RestClient,
        metrics: Metrics,
        clock_ms: Callable[[], int],
        catchup: LogCatchUp | None = None,
    ) -> None:
        """Wire up; see the modules of the arguments. `catchup` is given where other replicas write too."""
        self._settings = settings
        self._trackers = SequenceTrackers(settings.dedupe_ids, settings.backfill_buffer_trades)
        self._catchup = catchup
        self._writer = writer
        self._rest = rest
        self._metrics = metrics
        self._clock_ms = clock_ms
        self._tasks: set[asyncio.Task[None]] = set()
        self._newest_ms = dict.fromkeys(names.MARKET_TYPES, clock_ms())
        for market_type in settings.market_types:
            metrics.set_age_source(market_type, lambda name=market_type: self._age_s(name))  # type: ignore[misc]

    def _age_s(self, market_type: str) -> float:
        return (self._clock_ms() - self._newest_ms[market_type]) / 1000

    def add_trackers(self, trackers: Iterable[SequenceTracker]) -> None:
        """Add symbols with the trackers that the log gave; call it before they are subscribed."""
        trackers = list(trackers)
        self._trackers.replace(trackers)
        for tracker in trackers:
            if tracker.last is not None:
                last = tracker.last.trade_id, tracker.last.key[0]
                self._writer.overflow.record_logged(tracker.market_type, tracker.symbol, *last)

    def remove_symbol(self, market_type: str, symbol: str) -> None:
        """Remove a symbol that is no longer subscribed; its buffered trades are written."""
        tracker = self._trackers.remove(market_type, symbol)
        if tracker is not None:
            for trade in tracker.abandon(self._clock_ms()).trades:
                self._writer.write_trade(trade)
        self._writer.overflow.remove_symbol(market_type, symbol)
        if self._catchup is not None:
            self._catchup.unwatch((market_type, symbol))

    def is_paused(self, market_type: str, symbol: str) -> bool:
        """Return whether trades of a symbol are buffered until a back-fill ends."""
        return self._trackers.get_or_create(market_type, symbol).is_paused

    def on_connected(self, market_type: str, symbols: frozenset[str], reason: str) -> None:
        """Handle a new connection: its symbols may have missed trades."""
        for symbol in symbols:
            self._trackers.get_or_create(market_type, symbol).pause(reason)

    def on_subscribed(self, market_type: str, symbol: str) -> None:
        """Handle the first sign that a symbol's trades arrive: request a back-fill of the trades before."""
        tracker = self._trackers.get_or_create(market_type, symbol)
        if tracker.is_paused and not tracker.backfill_requested:
            tracker.backfill_requested = True
            task = asyncio.create_task(self._backfill(tracker, tracker.generation))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def on_trades(self, market_type: str, symbol: str, frame: messages.TradeBatch) -> None:
        """Handle one frame of one symbol."""
        self._metrics.frames.labels(market_type).inc()
        self._metrics.received.labels(market_type).inc(len(frame.trades))
        self._newest_ms[market_type] = self._clock_ms()
        tracker = self._trackers.get_or_create(market_type, symbol)
        if tracker.is_paused:
            self.on_subscribed(market_type, symbol)
        self._write(market_type, tracker.accept(frame.trades, self._clock_ms()))
        for failure in frame.rejects:
            self._writer.write_reject(failure, market_type)

    def on_parse_failure(self, market_type: str, failure: messages.ParseFailure) -> None:
        """Handle a frame that cannot be parsed."""
        self._writer.write_reject(failure, market_type)

    async def stop(self) -> None:
        """Cancel the back-fills and drop buffered trades; the next start detects the gaps again."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _backfill(self, tracker: SequenceTracker, generation: int) -> None:
        backfill = await self._request_recent_trades(tracker)
        limit = messages.BACKFILL_LIMIT[tracker.market_type]
        if self._catchup is not None and (backfill is None or not tracker.proves_continuity(backfill, limit)):
            backfill = await self._catch_up(self._catchup, tracker, backfill)
        if tracker.generation != generation or not tracker.is_paused:
            return
        now_ms = self._clock_ms()
        if backfill is None:
            self._metrics.backfill_failures.labels(tracker.market_type).inc()
            released = tracker.abandon(now_ms)
        else:
            for failure in backfill.rejects:
                self._writer.write_reject(failure, tracker.market_type)
            released = tracker.resolve(backfill, limit, now_ms)
        self._write(tracker.market_type, released)
        if self._catchup is not None:
            self._catchup.unwatch((tracker.market_type, tracker.symbol))

    async def _catch_up(
        self, catchup: LogCatchUp, tracker: SequenceTracker, backfill: messages.TradeBatch | None
    ) -> messages.TradeBatch | None:
        """Record what another replica logged; where the log alone proves continuity, no REST response is needed."""
        try:
            async with asyncio.timeout(self._settings.backfill_timeout_s):
                await catchup.catch_up(tracker)
        except TimeoutError:
            log.warning("log catch-up timed out", extra={"symbol": tracker.symbol})
        if backfill is None and tracker.overlaps_log:
            return messages.TradeBatch([], [], 0)
        return backfill

    async def _request_recent_trades(self, tracker: SequenceTracker) -> messages.TradeBatch | None:
        timeout_s = self._settings.backfill_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.sleep(self._settings.backfill_delay_s)
                return await self._rest.recent_trades(tracker.market_type, tracker.symbol, timeout_s)
        except (TimeoutError, ProducerError) as error:
            fields = {"market_type": tracker.market_type, "symbol": tracker.symbol, "reason": str(error)}
            log.warning("back-fill failed", extra=fields)
            return None

    def _write(self, market_type: str, released: Released) -> None:
        """Write gaps and trades."""
        for gap in released.gaps:
            self._writer.write_gap(gap)
        backfilled = 0
        for trade in released.trades:
            backfilled += trade.source == names.SOURCE_BACKFILL
            self._writer.write_trade(trade)
        if backfilled:
            self._metrics.backfilled.labels(market_type).inc(backfilled)
        for trade in released.duplicates:
            self._writer.counters.counter_for(trade).duplicates += 1
        if released.duplicates:
            self._metrics.duplicates.labels(market_type).inc(len(released.duplicates))

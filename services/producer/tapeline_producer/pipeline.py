"""Passes trades from the connections through gap detection to Kafka, and runs the back-fills.

Thin: the rules are in gaps/gap_detector.py. There is one back-fill an instrument and break.
To process every trade: extend `_write`.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable

from tapeline.enums import GapReason, MarketType, TradeSource
from tapeline.instrument import Instrument

from tapeline_producer.errors import ProducerError
from tapeline_producer.exchange.bybit import messages
from tapeline_producer.exchange.bybit.rest import RestClient
from tapeline_producer.exchange.symbol_selection import ListedInstrument
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
        self._listed: dict[Instrument, ListedInstrument] = {}
        self._catchup = catchup
        self._writer = writer
        self._rest = rest
        self._metrics = metrics
        self._clock_ms = clock_ms
        self._tasks: set[asyncio.Task[None]] = set()
        self._newest_ms = dict.fromkeys(MarketType, clock_ms())
        for market_type in settings.market_types:
            metrics.set_age_source(market_type, lambda name=market_type: self._age_s(name))  # type: ignore[misc]

    def _age_s(self, market_type: MarketType) -> float:
        return (self._clock_ms() - self._newest_ms[market_type]) / 1000

    def add(self, listed: Collection[ListedInstrument], trackers: SequenceTrackers) -> None:
        """Add instruments with the trackers that the log gave; call it before they are subscribed."""
        self._listed.update((one.instrument, one) for one in listed)
        added = [trackers.get_or_create(one.instrument) for one in listed]
        self._trackers.replace(added)
        for tracker in added:
            if tracker.last is not None:
                last = tracker.last.trade_id, tracker.last.key[0]
                self._writer.overflow.record_logged(tracker.instrument, *last)

    def remove(self, instrument: Instrument) -> None:
        """Remove an instrument that is no longer subscribed; its buffered trades are written."""
        tracker = self._trackers.remove(instrument)
        if tracker is not None:
            self._writer.write_trades(instrument, tracker.abandon(self._clock_ms()).trades)
        self._listed.pop(instrument, None)
        self._writer.overflow.remove(instrument)
        if self._catchup is not None:
            self._catchup.unwatch(instrument)

    def is_paused(self, instrument: Instrument) -> bool:
        """Return whether trades of an instrument are buffered until a back-fill ends."""
        return self._trackers.get_or_create(instrument).is_paused

    def on_connected(self, instruments: Iterable[Instrument], reason: GapReason) -> None:
        """Handle a new connection: its instruments may have missed trades."""
        for instrument in instruments:
            self._trackers.get_or_create(instrument).pause(reason)

    def on_subscribed(self, instrument: Instrument) -> None:
        """Handle the first sign that an instrument's trades arrive: request a back-fill of the trades before."""
        tracker = self._trackers.get_or_create(instrument)
        if tracker.is_paused and not tracker.backfill_requested:
            tracker.backfill_requested = True
            task = asyncio.create_task(self._backfill(tracker, tracker.generation))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def on_trades(self, instrument: Instrument, frame: messages.TradeBatch) -> None:
        """Handle one frame of one instrument."""
        market_type = instrument.market_type
        self._metrics.frames.labels(market_type).inc()
        self._metrics.received.labels(market_type).inc(len(frame.trades))
        self._newest_ms[market_type] = self._clock_ms()
        tracker = self._trackers.get_or_create(instrument)
        if tracker.is_paused:
            self.on_subscribed(instrument)
        self._write(instrument, tracker.accept(frame.trades, self._clock_ms()))
        for failure in frame.rejects:
            self._writer.write_reject(failure, market_type)

    def on_parse_failure(self, market_type: MarketType, failure: messages.ParseFailure) -> None:
        """Handle a frame that cannot be parsed."""
        self._writer.write_reject(failure, market_type)

    async def stop(self) -> None:
        """Cancel the back-fills and drop buffered trades; the next start detects the gaps again."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _backfill(self, tracker: SequenceTracker, generation: int) -> None:
        instrument = tracker.instrument
        backfill = await self._request_recent_trades(instrument)
        limit = messages.BACKFILL_LIMIT[instrument.market_type]
        if self._catchup is not None and (backfill is None or not tracker.proves_continuity(backfill, limit)):
            backfill = await self._catch_up(self._catchup, tracker, backfill)
        if tracker.generation != generation or not tracker.is_paused:
            return
        now_ms = self._clock_ms()
        if backfill is None:
            self._metrics.backfill_failures.labels(instrument.market_type).inc()
            released = tracker.abandon(now_ms)
        else:
            for failure in backfill.rejects:
                self._writer.write_reject(failure, instrument.market_type)
            released = tracker.resolve(backfill, limit, now_ms)
        self._write(instrument, released)
        if self._catchup is not None:
            self._catchup.unwatch(instrument)

    async def _catch_up(
        self, catchup: LogCatchUp, tracker: SequenceTracker, backfill: messages.TradeBatch | None
    ) -> messages.TradeBatch | None:
        """Record what another replica logged; where the log alone proves continuity, no REST response is needed."""
        try:
            async with asyncio.timeout(self._settings.backfill_timeout_s):
                await catchup.catch_up(tracker)
        except TimeoutError:
            log.warning("log catch-up timed out", extra={"instrument": str(tracker.instrument)})
        if backfill is None and tracker.overlaps_log:
            return messages.TradeBatch([], [], 0)
        return backfill

    async def _request_recent_trades(self, instrument: Instrument) -> messages.TradeBatch | None:
        timeout_s = self._settings.backfill_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.sleep(self._settings.backfill_delay_s)
                listed = self._listed.get(instrument) or ListedInstrument(instrument)
                return await self._rest.recent_trades(listed, timeout_s)
        except (TimeoutError, ProducerError) as error:
            log.warning("back-fill failed", extra={"instrument": str(instrument), "reason": str(error)})
            return None

    def _write(self, instrument: Instrument, released: Released) -> None:
        """Write gaps and trades."""
        market_type = instrument.market_type
        for gap in released.gaps:
            self._writer.write_gap(gap)
        self._writer.write_trades(instrument, released.trades)
        backfilled = sum(trade.source is TradeSource.BACKFILL for trade in released.trades)
        if backfilled:
            self._metrics.backfilled.labels(market_type).inc(backfilled)
        for _, counter in self._writer.counters.counters_for(instrument, released.duplicates):
            counter.duplicates += 1
        if released.duplicates:
            self._metrics.duplicates.labels(market_type).inc(len(released.duplicates))

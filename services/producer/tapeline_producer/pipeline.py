"""From what was read to what is written: history, then Kafka, then the books.

Thin: the thinking is in continuity.py. Also runs the back-fills, one a symbol and break.
To do something with every trade: do it in `_send`.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable

from tapeline import names

from tapeline_producer.errors import ProducerError
from tapeline_producer.exchange.bybit import messages
from tapeline_producer.exchange.bybit.rest import Rest
from tapeline_producer.gaps.gap_detector import Histories, History, Released
from tapeline_producer.gaps.log_catchup import Witness
from tapeline_producer.kafka.trade_writer import Publisher
from tapeline_producer.metrics import Metrics
from tapeline_producer.settings import Settings

log = logging.getLogger(__name__)


class Intake:
    """Takes frames and breaks of all connections."""

    def __init__(
        self,
        settings: Settings,
        publisher: Publisher,
        rest: Rest,
        metrics: Metrics,
        clock_ms: Callable[[], int],
        witness: Witness | None = None,
    ) -> None:
        """Wire up; see the modules of the arguments. The witness is asked where other replicas write too."""
        self._settings = settings
        self._histories = Histories(settings.dedupe_ids, settings.hold_trades)
        self._witness = witness
        self._publisher = publisher
        self._rest = rest
        self._metrics = metrics
        self._clock_ms = clock_ms
        self._tasks: set[asyncio.Task[None]] = set()
        self._newest_ms = dict.fromkeys(names.MARKET_TYPES, clock_ms())
        for market_type in settings.market_types:
            metrics.watch_age(market_type, lambda name=market_type: self._age_s(name))  # type: ignore[misc]

    def _age_s(self, market_type: str) -> float:
        return (self._clock_ms() - self._newest_ms[market_type]) / 1000

    def adopt(self, histories: Iterable[History]) -> None:
        """Take over symbols with what the log says of them; call it before they are subscribed."""
        histories = list(histories)
        self._histories.adopt(histories)
        for history in histories:
            if history.last is not None:
                known = history.last.trade_id, history.last.key[0]
                self._publisher.admission.known(history.market_type, history.symbol, *known)

    def forget(self, market_type: str, symbol: str) -> None:
        """Let go of a symbol that is followed no more; what is held of it goes on."""
        history = self._histories.forget(market_type, symbol)
        if history is not None:
            for trade in history.give_up(self._clock_ms()).trades:
                self._publisher.trade(trade)
        self._publisher.admission.forget(market_type, symbol)
        if self._witness is not None:
            self._witness.dismiss((market_type, symbol))

    def is_holding(self, market_type: str, symbol: str) -> bool:
        """Return whether trades of a symbol wait for a proof that none are missing before them."""
        return self._histories.of(market_type, symbol).holding

    def opened(self, market_type: str, symbols: frozenset[str], reason: str) -> None:
        """Note that a connection starts afresh: its symbols may have missed trades."""
        for symbol in symbols:
            self._histories.of(market_type, symbol).hold(reason)

    def subscribed(self, market_type: str, symbol: str) -> None:
        """Note that a symbol's trades come from now on: ask REST for those before."""
        history = self._histories.of(market_type, symbol)
        if history.holding and not history.asked:
            history.asked = True
            task = asyncio.create_task(self._fill(history, history.generation))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def trades(self, market_type: str, symbol: str, frame: messages.Trades) -> None:
        """Take one frame of one symbol."""
        self._metrics.frames.labels(market_type).inc()
        self._metrics.received.labels(market_type).inc(len(frame.trades))
        self._newest_ms[market_type] = self._clock_ms()
        history = self._histories.of(market_type, symbol)
        if history.holding:
            self.subscribed(market_type, symbol)
        self._send(market_type, history.take(frame.trades, self._clock_ms()))
        for unreadable in frame.rejects:
            self._publisher.reject(unreadable, market_type)

    def unreadable(self, market_type: str, frame: messages.Unreadable) -> None:
        """Take a frame that is no message of the exchange."""
        self._publisher.reject(frame, market_type)

    async def stop(self) -> None:
        """Let go of what is held; the gaps are found again at the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _fill(self, history: History, generation: int) -> None:
        answer = await self._ask(history)
        limit = messages.BACKFILL_LIMIT[history.market_type]
        if self._witness is not None and (answer is None or not history.is_proven(answer, limit)):
            answer = await self._testimony(self._witness, history, answer)
        if history.generation != generation or not history.holding:
            return
        now_ms = self._clock_ms()
        if answer is None:
            self._metrics.backfill_failures.labels(history.market_type).inc()
            released = history.give_up(now_ms)
        else:
            for unreadable in answer.rejects:
                self._publisher.reject(unreadable, history.market_type)
            released = history.merge(answer, limit, now_ms)
        self._send(history.market_type, released)
        if self._witness is not None:
            self._witness.dismiss((history.market_type, history.symbol))

    async def _testimony(
        self, witness: Witness, history: History, answer: messages.Trades | None
    ) -> messages.Trades | None:
        """Let a history see what another replica wrote; where that proves all, REST's answer is not needed."""
        try:
            async with asyncio.timeout(self._settings.hold_s):
                await witness.testify(history)
        except TimeoutError:
            log.warning("the log was too slow to be read on", extra={"symbol": history.symbol})
        if answer is None and history.overlaps:
            return messages.Trades([], [], 0)
        return answer

    async def _ask(self, history: History) -> messages.Trades | None:
        patience_s = self._settings.hold_s
        try:
            async with asyncio.timeout(patience_s):
                await asyncio.sleep(self._settings.settle_s)
                return await self._rest.recent_trades(history.market_type, history.symbol, patience_s)
        except (TimeoutError, ProducerError) as error:
            what = {"market_type": history.market_type, "symbol": history.symbol, "reason": str(error)}
            log.warning("a break could not be filled from REST", extra=what)
            return None

    def _send(self, market_type: str, released: Released) -> None:
        """Send gaps and trades on."""
        for gap in released.gaps:
            self._publisher.gap(gap)
        backfilled = 0
        for trade in released.trades:
            backfilled += trade.source == names.SOURCE_BACKFILL
            self._publisher.trade(trade)
        if backfilled:
            self._metrics.backfilled.labels(market_type).inc(backfilled)
        for trade in released.duplicates:
            self._publisher.counts.of(trade).duplicates += 1
        if released.duplicates:
            self._metrics.duplicates.labels(market_type).inc(len(released.duplicates))

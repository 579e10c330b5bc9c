"""The way of trades through the pipeline, with a writer and a REST client that record."""

import asyncio
from types import SimpleNamespace
from typing import Any

from support import aeventually
from tapeline.enums import GapReason, MarketType
from tapeline.instrument import Instrument
from tapeline_producer.exchange.bybit.messages import Trade, TradeBatch
from tapeline_producer.exchange.symbol_selection import ListedInstrument
from tapeline_producer.gaps.gap_detector import SequenceTrackers, order_key
from tapeline_producer.kafka.minute_counts import MinuteCounters
from tapeline_producer.kafka.overflow import OverflowPolicy
from tapeline_producer.metrics import Metrics
from tapeline_producer.pipeline import TradePipeline
from tapeline_producer.settings import Settings

from unit.producer.factories import BTC, BTC_LINEAR, START_MS, trade


class RecordingWriter:
    """Keeps what is written, by instrument."""

    def __init__(self) -> None:
        self.overflow, self.counters = OverflowPolicy(100), MinuteCounters("one")
        self.trades: list[tuple[Instrument, str]] = []
        self.gaps: list[Any] = []

    def write_trades(self, instrument: Instrument, trades: list[Trade]) -> None:
        self.trades += [(instrument, one.trade_id) for one in trades]

    def write_gap(self, gap: Any) -> None:
        self.gaps.append(gap)


def pipeline(requested: list[ListedInstrument]) -> tuple[TradePipeline, RecordingWriter]:
    async def recent_trades(listed: ListedInstrument, timeout_s: float) -> TradeBatch:
        requested.append(listed)
        return TradeBatch([], [], 0)

    writer: Any = RecordingWriter()
    rest: Any = SimpleNamespace(recent_trades=recent_trades)
    return TradePipeline(Settings(backfill_delay_s=0), writer, rest, Metrics(), lambda: START_MS), writer


def known(*instruments: Instrument) -> SequenceTrackers:
    trackers = SequenceTrackers(100, 100)
    for one in instruments:
        trackers.get_or_create(one).record_logged("t0", order_key(START_MS, 100), 0)
    return trackers


async def test_backfill_is_requested_for_the_listed_instrument_with_its_assets() -> None:
    requested: list[ListedInstrument] = []
    one, _ = pipeline(requested)
    listed = ListedInstrument(BTC_LINEAR, "BTC", "USDT")
    one.add([listed], known(BTC_LINEAR))
    one.on_connected([BTC_LINEAR], GapReason.RESTART)
    one.on_subscribed(BTC_LINEAR)
    await aeventually(lambda: requested == [listed], "the back-fill is requested")
    await one.stop()


async def test_pause_of_an_instrument_does_not_hold_the_same_symbol_of_another_market() -> None:
    one, writer = pipeline([])
    one.add([ListedInstrument(BTC), ListedInstrument(BTC_LINEAR)], known(BTC, BTC_LINEAR))
    one.on_connected([BTC], GapReason.RECONNECT)
    assert one.is_paused(BTC) and not one.is_paused(BTC_LINEAR)
    one.on_trades(BTC_LINEAR, TradeBatch([trade(1, market_type=MarketType.LINEAR)], [], 1))
    assert writer.trades == [(BTC_LINEAR, "t1")]
    await one.stop()


async def test_buffered_trades_of_a_removed_instrument_are_written() -> None:
    one, writer = pipeline([])
    one.add([ListedInstrument(BTC)], known(BTC))
    one.on_connected([BTC], GapReason.RECONNECT)
    one.on_trades(BTC, TradeBatch([trade(1)], [], 1))
    assert writer.trades == []
    one.remove(BTC)
    assert writer.trades == [(BTC, "t1")]
    await one.stop()


async def test_duplicates_are_counted_for_their_instrument_and_minute() -> None:
    one, writer = pipeline([])
    one.add([ListedInstrument(BTC)], known(BTC))
    one.on_trades(BTC, TradeBatch([trade(1), trade(1)], [], 2))
    await asyncio.sleep(0)
    (counter,) = writer.counters.unpublished()
    assert (counter.instrument, counter.duplicates) == (BTC, 1)
    await one.stop()

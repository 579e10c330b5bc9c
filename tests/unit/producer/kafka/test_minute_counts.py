"""Counts of a minute, and the records that publish them."""

from tapeline.enums import MarketType
from tapeline.trade import instrument_of
from tapeline_producer.exchange.bybit.messages import Trade
from tapeline_producer.kafka.minute_counts import MinuteCounter, MinuteCounters

from unit.producer.factories import BTC, START_MS, trade

MINUTE_MS = 60_000
FIRST = START_MS - START_MS % MINUTE_MS


def counter_for(counters: MinuteCounters, one: Trade) -> MinuteCounter:
    ((_, counter),) = counters.counters_for(instrument_of(one), [one])
    return counter


def test_trades_are_counted_under_the_minute_of_their_own_time():
    counters = MinuteCounters("one")
    late = trade(1, traded_at=FIRST + MINUTE_MS - 1)
    assert counter_for(counters, late) is counter_for(counters, trade(2, traded_at=FIRST))
    assert counter_for(counters, late) is not counter_for(counters, trade(3, traded_at=FIRST + MINUTE_MS))
    assert counter_for(counters, late) is not counter_for(
        counters, trade(4, traded_at=FIRST, market_type=MarketType.LINEAR)
    )


def test_record_holds_the_totals_and_their_producer():
    counters = MinuteCounters("one")
    counter = counter_for(counters, trade(1, traded_at=FIRST + 5))
    counter.received, counter.duplicates = 3, 1
    counter.record_produced()
    record = counter.to_record(counter.totals, START_MS)
    assert (record.producer, record.venue, record.market_type, record.symbol) == ("one.0", "bybit", "spot", "BTCUSDT")
    assert (record.minute, record.received, record.duplicates, record.produced) == (FIRST, 3, 1, 1)


def test_counter_is_unpublished_until_kafka_has_acknowledged_its_totals():
    counters = MinuteCounters("one")
    counter = counter_for(counters, trade(1))
    assert counters.unpublished() == []
    counter.received += 1
    assert counters.unpublished() == [counter]
    before = counter.totals
    counter.record_produced()
    counter.mark_published(before)
    assert counters.unpublished() == [counter]
    counter.mark_published(counter.totals)
    assert counters.unpublished() == []


def test_published_unchanged_minute_is_evicted_and_starts_again_under_another_name():
    counters = MinuteCounters("one")
    counter = counter_for(counters, trade(1))
    counter.received += 1
    counter.record_produced()
    counter.mark_published(counter.totals)
    # The minute is long past by our clock: that must not matter.
    now_ms = START_MS + 48 * 60 * MINUTE_MS
    counters.evict(now_ms)
    counters.evict(now_ms + 15 * MINUTE_MS)
    assert counter_for(counters, trade(1)) is counter
    counters.evict(now_ms + 15 * MINUTE_MS + 1)
    again = counter_for(counters, trade(1))
    assert (again.producer, again.totals) == ("one.1", (0, 0, 0))


def test_minute_with_unacknowledged_trades_or_unpublished_totals_is_kept():
    counters = MinuteCounters("one")
    unacknowledged, unpublished = counter_for(counters, trade(1)), counter_for(counters, trade(1, symbol="ETHUSDT"))
    unacknowledged.received += 1
    unacknowledged.mark_published(unacknowledged.totals)
    unpublished.received += 1
    counters.evict(START_MS)
    counters.evict(START_MS + 24 * 60 * MINUTE_MS)
    assert counter_for(counters, trade(1)) is unacknowledged
    counters.evict(START_MS + 24 * 60 * MINUTE_MS + 1)
    assert counter_for(counters, trade(1)) is not unacknowledged
    assert counter_for(counters, trade(1, symbol="ETHUSDT")) is unpublished


def test_each_trade_of_a_frame_is_counted_in_its_own_minute():
    counters = MinuteCounters("one")
    times = (FIRST, FIRST + MINUTE_MS, FIRST + MINUTE_MS - 1, FIRST - 1, FIRST + 1)
    frame = [trade(n, traded_at=at) for n, at in enumerate(times)]
    counted = list(counters.counters_for(BTC, frame))
    assert [one for one, _ in counted] == frame
    assert [counter.minute_ms for _, counter in counted] == [at - at % MINUTE_MS for at in times]
    assert [counter for _, counter in counted] == [counter_for(counters, one) for one in frame]

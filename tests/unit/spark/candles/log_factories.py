"""Factories of trade logs, and the candles that reading a log publishes."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby, pairwise, product
from pathlib import Path

import msgspec
from tapeline.instrument import Instrument
from tapeline_spark.candles import build
from tapeline_spark.candles import snapshot as saved
from tapeline_spark.candles.documents import candle_version
from tapeline_spark.candles.listener import Candle, Changes
from tapeline_spark.candles.state import MINUTE_MS, CandleState
from tapeline_spark.kafka.decode import DecodedTrade, decode_trade

from unit.spark.trade_factories import record

START_MS = 1_790_000_040_000
assert START_MS % MINUTE_MS == 0
LATE_MINUTES, QUIET_MINUTES = 10, 30
Published = dict[tuple[Instrument, int], Candle]


def trade(
    at_s: float, price: float | str = "100", offset: int = 0, partition: int = 0, **changes: object
) -> DecodedTrade:
    """Return a trade so many seconds after START_MS, read a second later."""
    at_ms = START_MS + round(at_s * 1000)
    stamps = {"traded_at": at_ms, "received_at": at_ms + 900, "produced_at": at_ms + 1000}
    return record(partition=partition, offset=offset, **(stamps | {"price": str(price)} | changes))


def numbered(records: Iterable[DecodedTrade]) -> list[DecodedTrade]:
    """Return records with offsets as a log gives them, partition by partition."""
    following: dict[tuple[str, int], int] = {}
    result = []
    for item in records:
        partition = topic_of(item), item.partition
        offset = following.get(partition, 0)
        following[partition] = offset + 1
        result.append(item._replace(offset=offset))
    return result


def market(
    seed: int, minutes: int, per_minute: float, symbols: Sequence[str] = ("AUSDT", "BUSDT")
) -> list[DecodedTrade]:
    """Return a log with quiet minutes, equal prices, late trades, copies and trades that come too late."""
    rng = random.Random(seed)
    times = sorted(rng.uniform(0, minutes * 60) for _ in range(round(minutes * per_minute)))
    records: list[tuple[float, DecodedTrade]] = []
    price = 100.0
    for number, at_s in enumerate(times):
        price = round(max(1.0, price + rng.choice((-0.7, -0.1, 0, 0, 0.1, 0.7))), 2)
        symbol = rng.choices(symbols, [6.0] + [1.0] * (len(symbols) - 1))[0]
        item = trade(
            at_s,
            f"{price:.2f}",
            symbol=symbol,
            trade_id=f"{symbol}-{number}",
            quantity=f"{rng.uniform(0.001, 3):.4f}",
            side=rng.choice(("Buy", "Sell")),
            sequence=number,
            partition=symbols.index(symbol) % 2,
        )
        delay_s = rng.choices((0.0, rng.uniform(0, 400), rng.uniform(400, 4000)), (0.9, 0.08, 0.02))[0]
        records.append((at_s + delay_s, item))
        if rng.random() < 0.05:
            records.append((at_s + delay_s + rng.uniform(0, 90), item))
    records.sort(key=lambda pair: pair[0])
    return numbered(_produced(item, START_MS + round(at_s * 1000) + 1_000) for at_s, item in records)


def _produced(item: DecodedTrade, at_ms: int) -> DecodedTrade:
    document = msgspec.json.decode(item.value)
    again = decode_trade(
        msgspec.json.encode(document | {"received_at": at_ms - 100, "produced_at": at_ms}),
        item.topic,
        item.partition,
        0,
    )
    assert isinstance(again, DecodedTrade)
    return again


def fresh(late_minutes: int = LATE_MINUTES, quiet_minutes: int = QUIET_MINUTES) -> CandleState:
    """Return a candle state that begins where the partitions of the test's log begin."""
    state = CandleState(late_minutes, quiet_minutes)
    for topic, partition in product(("bybit-trades", "other-trades"), range(4)):
        state.begin_partition(topic, partition, 0, with_trades=True)
    return state


def process_batch(
    state: CandleState, records: Iterable[DecodedTrade], published: Published, is_caught_up: bool = True
) -> None:
    """Read one batch and write what it changed, as Elasticsearch would take it."""
    for topic, group in groupby(records, key=topic_of):
        state.admit(topic, group)
    publish(build.changes(state, is_caught_up), published)


def publish(changes: Changes, published: Published) -> None:
    """Write what a batch changed, as Elasticsearch would take it."""
    for instrument, built in changes.candles.items():
        for minute, item in built.items():
            known = published.get((instrument, minute))
            if known is None or candle_version(item) >= candle_version(known):
                published[instrument, minute] = item
    for instrument, minutes in changes.missed.items():
        for minute, count in minutes.items():
            if known := published.get((instrument, minute)):
                logged = known.logged + count - known.missed_trades
                published[instrument, minute] = replace(known, missed_trades=count, logged=logged)


def topic_of(item: DecodedTrade) -> str:
    """Return the topic of a trade: each venue has one, and the numbers of their partitions are the same."""
    return f"{item.trade.venue}-trades"


def read_log(
    records: Sequence[DecodedTrade],
    cuts: Iterable[int] = (),
    snapshot: Path | None = None,
    quiet_minutes: int = QUIET_MINUTES,
) -> Published:
    """Return every candle after the log was read in the batches that `cuts` bound, restarted at each if so asked."""
    published: Published = {}
    state = fresh(quiet_minutes=quiet_minutes)
    places = [0, *sorted(cuts), len(records)]
    for begin, end in pairwise(places):
        process_batch(state, records[begin:end], published)
        if snapshot:
            saved.save(state, {}, snapshot)
            loaded = saved.load(snapshot, LATE_MINUTES, quiet_minutes)
            assert loaded
            state = loaded[0]
    return published

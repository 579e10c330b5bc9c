"""Counts that producers publish to a real Kafka."""

import asyncio
import json
import signal
import uuid
from collections import defaultdict
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from support import aeventually
from tapeline.records.reconciliation import Count

# The fixtures of that module are used here too.
from stack.test_producer import (  # noqa: F401
    Exchange,
    KafkaTopics,
    Start,
    exchange,
    kafka_topics,
    start,
    wait_stored,
    wait_subscribed,
)

MINUTE_MS = 60_000
Totals = dict[tuple[str, str, int], tuple[int, int, int]]


@pytest.fixture
def topic(kafka_topics: KafkaTopics) -> str:  # noqa: F811
    """A topic of counts of the test's own."""
    name = f"counts-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": kafka_topics.bootstrap})
    for future in admin.create_topics([NewTopic(name, 2, 1)]).values():
        future.result(60)
    return name


def read_totals(kafka_topics: KafkaTopics, topic: str) -> tuple[Totals, set[str]]:  # noqa: F811
    """Return received, duplicates and produced by market_type, symbol and minute, and the names of the producers."""
    newest: dict[Any, Count] = {}
    for message in kafka_topics._read(topic):
        count = Count.model_validate_json(message.value())
        assert message.key().decode() == count.symbol
        newest[count.producer, count.market_type, count.symbol, count.minute] = count
    totals: dict[Any, list[int]] = defaultdict(lambda: [0, 0, 0])
    for (_, *place), count in newest.items():
        into = totals[tuple(place)]
        for number, value in enumerate((count.received, count.duplicates, count.produced)):
            into[number] += value
    return {place: (a, b, c) for place, (a, b, c) in totals.items()}, {one.producer for one in newest.values()}


def published_duplicates(kafka_topics: KafkaTopics, topic: str) -> int:  # noqa: F811
    return sum(duplicates for _, duplicates, _ in read_totals(kafka_topics, topic)[0].values())


def traded(exchange: Exchange) -> dict[tuple[str, str, int], int]:  # noqa: F811
    """Return the number of trades that the exchange made, by market_type, symbol and minute."""
    counts: dict[tuple[str, str, int], int] = defaultdict(int)
    for (market_type, symbol), trades in exchange.made.items():
        for trade in trades:
            counts[market_type, symbol, trade["T"] - trade["T"] % MINUTE_MS] += 1
    return dict(counts)


async def agree(kafka_topics: KafkaTopics, topic: str, exchange: Exchange) -> None:  # noqa: F811
    """Wait until received and produced equal the trades that the exchange made."""
    wanted = {place: (number, number) for place, number in traded(exchange).items()}
    found: dict[Any, tuple[int, int]] = {}

    async def are_equal() -> bool:
        nonlocal found
        totals, _ = await asyncio.to_thread(read_totals, kafka_topics, topic)
        found = {place: (received, produced) for place, (received, _, produced) in totals.items()}
        return found == wanted

    try:
        await aeventually(are_equal, "counts agree", 30)
    except AssertionError:
        assert found == wanted


async def test_totals_of_each_symbol_and_minute_are_published_while_it_runs(
    exchange: Exchange,  # noqa: F811
    kafka_topics: KafkaTopics,  # noqa: F811
    start: Start,  # noqa: F811
    topic: str,
) -> None:
    await start(market_types="spot,linear", topic_counts=topic, counts_interval_s=0.3).ready()
    # 7 ms a trade: several minutes.
    for _ in range(3):
        await exchange.trade("BTCUSDT", 9_000)
        await exchange.trade("ETHUSDT", 40)
        await exchange.trade("BTCUSDT", 30, market_type="linear")
    await agree(kafka_topics, topic, exchange)
    assert len({minute for _, _, minute in traded(exchange)}) > 3


async def test_duplicates_are_counted_separately_and_back_filled_trades_are_counted(
    exchange: Exchange,  # noqa: F811
    kafka_topics: KafkaTopics,  # noqa: F811
    start: Start,  # noqa: F811
    topic: str,
) -> None:
    await start(topic_counts=topic, counts_interval_s=0.3).ready()
    await exchange.trade("BTCUSDT", 5)
    await wait_stored(kafka_topics, 5)
    await exchange.cut()
    await exchange.trade("BTCUSDT", 20)
    await wait_subscribed(exchange)
    await agree(kafka_topics, topic, exchange)
    assert published_duplicates(kafka_topics, topic) == 0
    again = exchange.made["spot", "BTCUSDT"][-3:]
    topic_of_trades = "publicTrade.BTCUSDT"
    frame = {"topic": topic_of_trades, "type": "snapshot", "ts": again[0]["T"], "data": again}
    await exchange.send("spot", topic_of_trades, json.dumps(frame))
    await aeventually(lambda: published_duplicates(kafka_topics, topic) == 3, "three duplicates are published", 15)
    await agree(kafka_topics, topic, exchange)


async def test_last_totals_are_published_at_shutdown_and_the_next_process_counts_under_another_name(
    exchange: Exchange,  # noqa: F811
    kafka_topics: KafkaTopics,  # noqa: F811
    start: Start,  # noqa: F811
    topic: str,
) -> None:
    first = start(topic_counts=topic, counts_interval_s=600)
    await first.ready()
    await exchange.trade("BTCUSDT", 50)
    await wait_stored(kafka_topics, 50)
    assert read_totals(kafka_topics, topic) == ({}, set())
    assert await first.end(signal.SIGTERM) == 0
    await agree(kafka_topics, topic, exchange)
    await start(topic_counts=topic, counts_interval_s=0.3).ready()
    await exchange.trade("BTCUSDT", 7)
    await agree(kafka_topics, topic, exchange)
    assert len(read_totals(kafka_topics, topic)[1]) == 2


async def test_trades_are_written_where_the_topic_of_counts_does_not_exist(
    exchange: Exchange,  # noqa: F811
    kafka_topics: KafkaTopics,  # noqa: F811
    start: Start,  # noqa: F811
) -> None:
    process = start(topic_counts="no-such-topic", counts_interval_s=0.2)
    await process.ready()
    sent = await exchange.trade("BTCUSDT", 300)
    assert await wait_stored(kafka_topics, 300) == sent
    await aeventually(lambda: process.metric("tapeline_counts_failed_total") > 0, "a count record has failed", 60)
    sent += await exchange.trade("BTCUSDT", 10)
    assert await wait_stored(kafka_topics, 310) == sent
    await process.ready()
    assert await process.end(signal.SIGTERM) == 0

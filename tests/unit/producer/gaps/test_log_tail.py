"""Reading the end of the log, from a Kafka client that holds records in memory."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from confluent_kafka import KafkaError, TopicPartition
from tapeline import names
from tapeline.enums import MarketType
from tapeline_clients import kafka
from tapeline_producer.gaps.log_tail import LogPartition, read_since, read_tail
from tapeline_producer.settings import Settings

from unit.producer.factories import BTC, BTC_LINEAR, ETH, START_MS, trade

FIRST, SECOND = (LogPartition(names.TOPIC_TRADES, number) for number in (0, 1))
Log = Mapping[LogPartition, list[bytes]]


def record(number: int, **changes: Any) -> bytes:
    return msgspec.json.encode(trade(number, **changes))


class FakeConsumer:
    """Serves the records of a log from the assigned offsets on, then the end of each partition."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._messages: list[SimpleNamespace] = []

    def list_topics(self, topic: str, timeout: float) -> SimpleNamespace:
        numbers = [partition.number for partition in self._log if partition.topic == topic]
        return SimpleNamespace(topics={topic: SimpleNamespace(error=None, partitions=numbers)})

    def get_watermark_offsets(self, one: TopicPartition, timeout: float) -> tuple[int, int]:
        return 0, len(self._log[LogPartition(one.topic, one.partition)])

    def assign(self, starts: list[TopicPartition]) -> None:
        for one in starts:
            values = self._log[LogPartition(one.topic, one.partition)]
            for offset in range(one.offset, len(values)):
                key = msgspec.json.decode(values[offset])["symbol"].encode()
                self._messages.append(_message(one, offset, key, values[offset], None))
            end = SimpleNamespace(code=lambda: KafkaError._PARTITION_EOF)
            self._messages.append(_message(one, len(values), None, None, end))

    def consume(self, count: int, timeout: float) -> list[SimpleNamespace]:
        messages, self._messages = self._messages, []
        return messages

    def close(self) -> None:
        pass


def _message(one: TopicPartition, offset: int, key: bytes | None, value: bytes | None, error: Any) -> SimpleNamespace:
    fields = {"topic": one.topic, "partition": one.partition, "offset": offset}
    fields |= {"key": key, "value": value, "error": error}
    return SimpleNamespace(**{name: lambda value=value: value for name, value in fields.items()})


def serve(monkeypatch: pytest.MonkeyPatch, log: Log) -> Settings:
    monkeypatch.setattr(kafka, "Consumer", lambda configuration, logger: FakeConsumer(log))
    return Settings()


def test_trackers_continue_after_the_last_trade_of_their_own_instrument(monkeypatch: pytest.MonkeyPatch) -> None:
    linear = record(9, market_type=MarketType.LINEAR)
    settings = serve(monkeypatch, {FIRST: [record(1), linear, record(2)], SECOND: [record(5, symbol="ETHUSDT")]})
    tail = read_tail(settings, [BTC, BTC_LINEAR, ETH], lambda: False)
    last = [tail.trackers.get_or_create(one).last for one in (BTC, BTC_LINEAR, ETH)]
    assert [one.trade_id for one in last if one is not None] == ["t2", "t9", "t5"]
    assert tail.end_offsets == {FIRST: 3, SECOND: 1}


def test_same_symbol_of_another_venue_is_another_instrument(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = serve(monkeypatch, {FIRST: [record(1), record(2, venue="other")]})
    tracker = read_tail(settings, [BTC], lambda: False).trackers.get_or_create(BTC)
    assert tracker.last is not None and tracker.last.trade_id == "t1"


@pytest.mark.parametrize("change", [{"market_type": "option"}, {"venue": "By Bit"}, {"traded_at": "soon"}])
def test_record_that_is_no_trade_of_an_instrument_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    settings = serve(monkeypatch, {FIRST: [record(1), record(2, **change), record(3)]})
    tracker = read_tail(settings, [BTC], lambda: False).trackers.get_or_create(BTC)
    assert tracker.last is not None and tracker.last.trade_id == "t3"


def test_log_longer_than_the_limit_is_known_from_a_time_on(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, {FIRST: [record(number) for number in range(1, 6)]})
    tail = read_tail(Settings(resume_records=2), [BTC, ETH], lambda: False)
    assert tail.trackers.get_or_create(ETH).unknown_since_ms == START_MS + 4


def test_each_partition_is_read_from_its_own_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = [record(1), record(2)], [record(3, symbol="ETHUSDT"), record(4, symbol="ETHUSDT")]
    settings = serve(monkeypatch, {FIRST: first, SECOND: second})
    logged = read_since(settings, {BTC, ETH}, {FIRST: 2, SECOND: 1, LogPartition("another-topic", 0): 0})
    assert [(one.instrument, one.trade_id) for one in logged] == [(ETH, "t4")]

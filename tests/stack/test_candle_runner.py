"""The candles' state over crashes, a lost snapshot and a log without its beginning: real Kafka and Elasticsearch."""

import random
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from elasticsearch import Elasticsearch
from support import eventually
from tapeline import names
from tapeline_spark.candles.documents import candle_operation
from tapeline_spark.candles.listener import Changes, LogRow, ProducerRecords
from tapeline_spark.candles.runner import CandleReport, Runner
from tapeline_spark.elastic.sink import ElasticSink
from tapeline_spark.kafka.decode import DecodedTrade
from tapeline_spark.kafka.log_reader import KafkaLog
from tapeline_spark.settings import Settings
from unit.spark.candles.log_factories import LATE_MINUTES, QUIET_MINUTES, START_MS, Published, market, read_log, trade

CUTS = 9


class RecordingListener:
    """A listener that records the number of trades of every candle."""

    name = "recording"

    def __init__(self) -> None:
        self.trades: dict[str, int] = {}
        self.ticks = 0

    def restore(self, state: bytes | None) -> None:
        self.trades = orjson.loads(state) if state else {}

    def snapshot(self) -> bytes:
        return orjson.dumps(self.trades)

    def after_batch(self, changes: Changes) -> None:
        for instrument, minutes in changes.candles.items():
            self.trades |= {f"{instrument}|{minute}": item.trades for minute, item in minutes.items()}

    def tick(self, now_ms: int) -> None:
        self.ticks += 1


class Bench:
    """A log of its own, symbols of its own, and runners that read them."""

    def __init__(self, kafka: str, elasticsearch: str, folder: Path) -> None:
        mark = uuid.uuid4().hex[:6].upper()
        self.topic, self.topic_gaps = f"trades-{mark}", f"gaps-{mark}"
        self.symbols = (f"A{mark}", f"B{mark}")
        self.settings = Settings(
            kafka_bootstrap=kafka,
            elasticsearch_url=elasticsearch,
            inference_url="http://127.0.0.1:1",
            checkpoint=folder,
            jars=folder,
            topics_trades=(self.topic,),
            topic_gaps=self.topic_gaps,
            late_minutes=LATE_MINUTES,
            quiet_minutes=QUIET_MINUTES,
            candles_snapshot_interval_s=0,
            candles_max_records=1_000,
            bulk_documents=100,
        )
        self.admin = AdminClient({"bootstrap.servers": kafka})
        topics = [NewTopic(self.topic, 2, 1, config={"retention.ms": "-1"}), NewTopic(self.topic_gaps, 1, 1)]
        for future in self.admin.create_topics(topics).values():
            future.result(30)
        self.client = Elasticsearch(elasticsearch, request_timeout=60)
        self.listener = RecordingListener()
        self.now_ms = 0
        self.sink().prepare(0, "1s")

    def sink(self) -> ElasticSink:
        return ElasticSink(self.settings, 30, 100, lambda reason: None)

    def runner(self) -> Runner:
        """Return what a new process would have."""
        self.listener = RecordingListener()
        return Runner(self.settings, self.sink(), (self.listener,), lambda: self.now_ms)

    def produce(self, records: Iterable[DecodedTrade]) -> None:
        producer = Producer({"bootstrap.servers": self.settings.kafka_bootstrap})
        for item in records:
            symbol, stamp = item.trade.symbol, item.trade.produced_at
            producer.produce(self.topic, item.value, symbol, item.partition, timestamp=stamp)
        assert producer.flush(30) == 0

    def rows(self, *stretches: tuple[int, int, int]) -> list[LogRow]:
        """Return the records of (partition, start, stop)."""
        rows = []
        with KafkaLog(self.settings) as source:
            for partition, start, stop in stretches:
                for message in source.messages(self.topic, partition, start, stop):
                    stamp = message.timestamp()[1]
                    rows.append(LogRow(self.topic, partition, message.offset(), None, message.value(), stamp))
        return rows

    def documents(self) -> dict[tuple[str, int], dict[str, Any]]:
        index = f"{names.INDEX_CANDLES_PREFIX}*"
        self.client.indices.refresh(index=index)
        query = {"terms": {"symbol": list(self.symbols)}}
        hits = self.client.search(index=index, size=10_000, query=query)["hits"]["hits"]
        sources = [{k: v for k, v in hit["_source"].items() if k != "updated_at"} for hit in hits]
        return {(source["symbol"], source["@timestamp"]): source for source in sources}


@pytest.fixture
def bench(kafka_bootstrap: str, elasticsearch_url: str, tmp_path: Path) -> Bench:
    return Bench(kafka_bootstrap, elasticsearch_url, tmp_path)


def wanted(shown: Published) -> dict[tuple[str, int], dict[str, Any]]:
    """Return documents of candles as Elasticsearch would give them back."""
    made = {}
    for (instrument, minute), item in shown.items():
        document = orjson.loads(candle_operation(instrument, item, 0).source)
        del document["updated_at"]
        made[instrument.symbol, minute] = document
    return made


def batches(log: Sequence[DecodedTrade], cuts: int = CUTS) -> list[list[LogRow]]:
    """Return parts of the log, each of which stretches over both partitions."""
    places = sorted(random.Random(3).sample(range(1, len(log)), cuts))
    return [list(log[a:b]) for a, b in zip([0, *places], [*places, len(log)], strict=True)]


def carry(bench: Bench, runner: Runner, part: Sequence[DecodedTrade]) -> CandleReport:
    """Let a runner carry a part of the log, as Kafka gives it."""
    spans: dict[int, list[int]] = {}
    for item in part:
        spans.setdefault(item.partition, []).append(item.offset)
    rows = bench.rows(*((partition, min(found), max(found) + 1) for partition, found in sorted(spans.items())))
    return runner.run(rows, {}, is_caught_up=True)


def test_a_crash_after_any_batch_leaves_the_documents_and_followers_of_one_reading(bench: Bench) -> None:
    log = market(9, 120, 12, bench.symbols)
    bench.produce(log)
    once = read_log(log)
    replayed = 0
    runner = bench.runner()
    for number, part in enumerate(batches(log)):
        replayed += carry(bench, runner, part).replayed
        if number % 2:
            # It had been carried, and Spark did not get to note it: the same batch comes to a new process.
            runner = bench.runner()
            replayed += carry(bench, runner, part).replayed
        elif number % 3:
            runner = bench.runner()
    runner.tick()
    assert replayed > 0
    assert bench.documents() == wanted(once)
    assert bench.listener.trades == {f"{key}|{minute}": item.trades for (key, minute), item in once.items()}
    assert bench.listener.ticks == 1


def test_after_a_crash_the_records_of_a_partition_that_is_quiet_now_come_again(bench: Bench) -> None:
    early, quiet, later = (
        trade(at, symbol=bench.symbols[0], partition=number) for at, number in ((1, 0), (2, 1), (3, 0))
    )
    bench.produce([early, quiet, later])
    bench.runner().run(bench.rows((0, 0, 1), (1, 0, 1)), {}, is_caught_up=True)

    runner = bench.runner()
    report = runner.run(bench.rows((0, 1, 2)), {(bench.topic, 0): 1, (bench.topic, 1): 1}, is_caught_up=True)

    assert report.replayed == 2
    assert [document["trades"] for document in bench.documents().values()] == [3]


def test_a_topic_that_is_no_longer_read_is_not_replayed(bench: Bench) -> None:
    bench.produce([trade(1, symbol=bench.symbols[0])])
    report = bench.runner().run(bench.rows((0, 0, 1)), {("another", 0): 7}, is_caught_up=True)
    assert (report.replayed, report.outcomes["counted"]) == (0, 1)


def test_a_lost_snapshot_is_made_good_from_the_log(bench: Bench) -> None:
    log = market(10, 120, 12, bench.symbols)
    bench.produce(log)
    parts = batches(log)
    runner = bench.runner()
    for part in parts[:5]:
        carry(bench, runner, part)
    (bench.settings.checkpoint / "minutes" / "candles.msgpack").unlink()
    runner = bench.runner()
    report = carry(bench, runner, parts[5])
    assert report.replayed == sum(len(part) for part in parts[:5])
    for part in parts[6:]:
        carry(bench, runner, part)
    assert bench.documents() == wanted(read_log(log))


def test_a_log_without_its_beginning_takes_nothing_from_candles_that_stand(bench: Bench) -> None:
    log = market(12, 120, 12, bench.symbols)
    bench.produce(log)
    parts = batches(log, 1)
    carry(bench, bench.runner(), parts[0])
    before = bench.documents()
    half = {partition: max(r.offset for r in parts[0] if r.partition == partition) // 2 for partition in (0, 1)}
    gone = [TopicPartition(bench.topic, partition, offset) for partition, offset in half.items()]
    for future in bench.admin.delete_records(gone).values():
        future.result(30)
    (bench.settings.checkpoint / "minutes" / "candles.msgpack").unlink(missing_ok=True)

    report = carry(bench, bench.runner(), parts[1])

    assert report.outcomes["truncated"] > 0
    assert report.written.conflict > 0, "fuller ones stand, and were kept"
    after, once = bench.documents(), wanted(read_log(log))
    sums = ("open", "high", "low", "close", "volume", "notional", "trades", "late_trades", "is_quiet")
    assert after.keys() == once.keys()
    for place, document in once.items():
        if document["trades"]:
            assert {name: after[place][name] for name in sums} == {name: document[name] for name in sums}, place
    noted = {place: {**document, "missed_trades": after[place]["missed_trades"]} for place, document in before.items()}
    changed = {place[1] for place, document in noted.items() if after[place] != document}
    assert min(changed) >= max(minute for _, minute in before) - (LATE_MINUTES + 1) * 60_000


def test_what_comes_too_late_is_noted_in_the_candle_that_stands_or_counted_as_nowhere(bench: Bench) -> None:
    symbol = bench.symbols[0]
    first, last = trade(1, symbol=symbol), trade(3_600, symbol=symbol)
    late, later, nowhere = (trade(at, symbol=symbol) for at in (2, 3, -3_600))
    bench.produce([first, last, late, later, nowhere])
    runner = bench.runner()
    runner.run(bench.rows((0, 0, 2)), {}, is_caught_up=True)
    before = bench.documents()
    runner.run(bench.rows((0, 2, 3)), {}, is_caught_up=True)
    report = runner.run(bench.rows((0, 3, 5)), {}, is_caught_up=True)
    assert report.outcomes["missed"] == 2
    assert (report.written.created, report.written.absent) == (1, 1)
    changed = {place: document for place, document in bench.documents().items() if before[place] != document}
    assert changed == {(symbol, START_MS): {**before[symbol, START_MS], "missed_trades": 2}}


def test_a_value_that_is_no_trade_is_counted_and_handed_on(bench: Bench) -> None:
    received: list[Changes] = []
    runner = bench.runner()
    bench.listener.after_batch = received.append  # type: ignore[method-assign]
    good = trade(1, symbol=bench.symbols[0])
    rows = [LogRow(bench.topic, 0, 0, "X", b"{", 1), LogRow(bench.topic, 0, 1, "X", good.value, 2)]
    gap = LogRow(bench.topic_gaps, 0, 0, "X", b"a gap", 3)
    report = runner.run([*rows, gap], {}, is_caught_up=True)
    assert report.outcomes == {"unreadable": 1, "counted": 1}
    assert (received[0].producer_records, received[0].unreadable) == (ProducerRecords(gaps=(gap,)), (rows[0],))
    assert eventually(lambda: len(bench.documents()) == 1, "its candle")

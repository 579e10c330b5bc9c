"""Two venues with the same symbols in topics with the same partition numbers: each as if it were alone.

The records are put straight into a real Kafka; a stream reads both topics, is killed in between, and goes on. Another
stream, on a log and indices of its own, reads one venue alone. Every document of a venue must be the same in both.
"""

import random
import signal
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from elasticsearch import Elasticsearch
from support import eventually, eventually_nothing
from tapeline import names
from tapeline.instrument import instrument_of
from tapeline.records import reconciliation
from tapeline.trade import LATEST_MS
from tapeline_local.stack.stack import Stack
from unit.spark.trade_factories import produced

from stack.fast import fast_options
from stack.models import promote_forest
from stack.naive_scores import documents, wrong_scores
from stack.servers import Servers

PARTS = ("kafka", "elasticsearch", "inference", "spark")
START_MS, MINUTE_MS = 1_790_000_040_000, 60_000
MINUTES = 6
PER_MINUTE = 50
PARTITIONS = 2
MARKETS = [(market_type, symbol) for symbol in ("BTCUSDT", "ETHUSDT") for market_type in ("spot", "linear")]
# The second venue's clock is two minutes ahead of the first one's: it may close no minute of the other.
VENUES = {"east": 0, "west": 2 * MINUTE_MS}
TRADES, CANDLES = f"{names.INDEX_TRADES_PREFIX}*", f"{names.INDEX_CANDLES_PREFIX}*"
SCORES, RECONCILIATION = f"{names.INDEX_SCORES_PREFIX}*", f"{names.INDEX_RECONCILIATION_PREFIX}*"
LASTING = (TRADES, CANDLES, SCORES, RECONCILIATION, names.INDEX_GAPS)
WRITTEN_AT = ("indexed_at", "updated_at", "delay_ms", "own_ms")
Documents = dict[str, dict[str, Any]]


@dataclass
class Record:
    """What is put into a topic."""

    topic: str
    partition: int
    value: bytes
    at_ms: int


@dataclass
class VenueLog:
    """The log of one venue in two halves, and what it must come to by a plain count."""

    venue: str
    halves: tuple[list[Record], list[Record]]
    counts: Counter[tuple[str, str, int]] = field(default_factory=Counter)


def venue_log(seed: int, venue: str, ahead_ms: int) -> VenueLog:
    """Return trades of every market with late ones and copies, a gap, the producer's counts, and a trade at the end."""
    draw = random.Random(seed)
    start, counts = START_MS + ahead_ms, Counter[tuple[str, str, int]]()
    records: list[Record] = []

    def add(number: int, at_ms: int, market: tuple[str, str], price: float, delay_ms: int = 0) -> Record:
        stamps = {"traded_at": at_ms, "received_at": at_ms + delay_ms + 20, "produced_at": at_ms + delay_ms + 30}
        value = produced(
            venue=venue, market_type=market[0], symbol=market[1], trade_id=f"{venue}-{number}", sequence=number,
            price=f"{price:.1f}", quantity=f"{draw.uniform(0.01, 2):.3f}", side=draw.choice(("Buy", "Sell")), **stamps,
        )  # fmt: skip
        # A symbol is in the same partition under both of its market types, and at both venues.
        partition = int(market[1] == "ETHUSDT")
        records.append(Record(f"{venue}-trades", partition, value, at_ms + delay_ms))
        return records[-1]

    prices = {market: 100.0 + 50 * place for place, market in enumerate(MARKETS)}
    number = 0
    for place, market in enumerate(MARKETS):
        for at_ms in sorted(draw.randrange(MINUTES * MINUTE_MS) for _ in range(MINUTES * PER_MINUTE)):
            number += 1
            prices[market] += draw.choice((-0.2, -0.1, 0.0, 0.0, 0.1, 0.2))
            made = add(number, start + at_ms, market, prices[market], draw.choice((0,) * 12 + (9_000, 40_000)))
            counts[*market, (start + at_ms) // MINUTE_MS * MINUTE_MS] += 1
            if draw.random() < 0.03:
                records.append(Record(made.topic, made.partition, made.value, made.at_ms + 5_000))
        # Each market ends well behind its last whole minute, by its own venue's clock.
        end_ms = start + (MINUTES + 3) * MINUTE_MS + place
        add(1_000_000 + place, end_ms, market, prices[market])
        counts[*market, end_ms // MINUTE_MS * MINUTE_MS] += 1
    for (market_type, symbol, minute), count in counts.items():
        counted = {
            "producer": f"of-{venue}", "venue": venue, "market_type": market_type, "symbol": symbol, "minute": minute,
            "received": count, "duplicates": 0, "produced": count, "counted_at": minute + MINUTE_MS,
        }  # fmt: skip
        records.append(Record(names.TOPIC_COUNTS, 0, orjson.dumps(counted), minute + MINUTE_MS + 1_000))
    middle = start + MINUTES // 2 * MINUTE_MS
    gap = {
        "venue": venue, "market_type": "linear", "symbol": "ETHUSDT", "reason": "reconnect", "backfilled": 0,
        "detected_at": middle, "from_traded_at": middle - 9_000, "from_trade_id": "a", "to_traded_at": middle - 2_000,
        "to_trade_id": "b",
    }  # fmt: skip
    if venue == "east":
        records.append(Record(names.TOPIC_GAPS, 0, orjson.dumps(gap), middle))
    records.sort(key=lambda record: record.at_ms)
    cut = next(place for place, record in enumerate(records) if record.at_ms >= middle + 20_000)
    return VenueLog(venue, (records[:cut], records[cut:]), counts)


class Reading:
    """One stream on topics and a checkpoint of its own; the indices are emptied before it."""

    def __init__(self, stack: Stack, client: Elasticsearch, logs: list[VenueLog]) -> None:
        self._stack, self._client, self.logs = stack, client, logs
        self._mark = uuid.uuid4().hex[:6]
        for index in client.indices.get(index="tapeline-*"):
            client.indices.delete(index=index)
        admin = AdminClient({"bootstrap.servers": stack.addresses.kafka})
        shared = (names.TOPIC_GAPS, names.TOPIC_REJECTS, names.TOPIC_COUNTS, names.TOPIC_ALERTS)
        wanted = dict.fromkeys(shared, 1) | {f"{log.venue}-trades": PARTITIONS for log in logs}
        new = [NewTopic(self._topic(name), count, 1, config={"retention.ms": "-1"}) for name, count in wanted.items()]
        for future in admin.create_topics(new).values():
            future.result(30)
        self._environment = {
            "STREAM_TOPICS_TRADES": ",".join(self._topic(f"{log.venue}-trades") for log in logs),
            "STREAM_TOPIC_GAPS": self._topic(names.TOPIC_GAPS),
            "STREAM_TOPIC_REJECTS": self._topic(names.TOPIC_REJECTS),
            "STREAM_TOPIC_COUNTS": self._topic(names.TOPIC_COUNTS),
            "STREAM_TOPIC_ALERTS": self._topic(names.TOPIC_ALERTS),
            "STREAM_CHECKPOINT": str(stack.state.root / f"checkpoint-{self._mark}"),
            "STREAM_SNAPSHOT_INTERVAL_S": "0",
            "STREAM_CANDLES_SNAPSHOT_INTERVAL_S": "0",
            "STREAM_RECOUNT_S": "2",
            # A call that a busy machine answers late would leave a batch without predictions.
            "STREAM_PREDICT_TIMEOUT_S": "60",
        }

    def _topic(self, name: str) -> str:
        return f"{name}-{self._mark}"

    def run(self, is_killed: bool) -> dict[str, Documents]:
        """Let the stream read the halves one after the other; return the documents of each index without its stamps."""
        self._produce(0)
        self._stack.start("spark", self._environment)
        self._stack.wait_ready("spark")
        first = sum(self._count(log.halves[0]) for log in self.logs)
        eventually(lambda: len(trades_of(self._client)) == first, "the first half is stored", 90)
        if is_killed:
            # The first batch held the gap's record; the next ones have none, and must still know of it.
            committed = Path(self._environment["STREAM_CHECKPOINT"], "candles", "commits", "0")
            eventually(committed.exists, "the candle query has committed its first batch", 90)
            self._stack.kill("spark", signal.SIGKILL)
            self._stack.wait_ready("spark")
        self._produce(1)
        eventually_nothing(self._missing, "trades to be stored or minutes to be reconciled", 240)
        self._stack.stop("spark")
        return {index: without_stamps(documents(self._client, index)) for index in LASTING}

    def _produce(self, half: int) -> None:
        producer = Producer({"bootstrap.servers": self._stack.addresses.kafka})
        records = sorted((r for log in self.logs for r in log.halves[half]), key=lambda record: record.at_ms)
        for record in records:
            producer.produce(self._topic(record.topic), record.value, None, record.partition, timestamp=record.at_ms)
        assert producer.flush(30) == 0

    @staticmethod
    def _count(records: list[Record]) -> int:
        return len({record.value for record in records if record.topic.endswith("-trades")})

    def _missing(self) -> list[str]:
        """Return what is still to come, as short texts."""
        stored, missing = documents(self._client, RECONCILIATION), list[str]()
        last = {log.venue: max(minute for *_, minute in log.counts) for log in self.logs}
        for log in self.logs:
            for (market_type, symbol, minute), count in log.counts.items():
                identity = reconciliation.identity(instrument_of(log.venue, market_type, symbol), minute)
                one = stored.get(identity)
                if one is None or one["logged"] < count or (one["distinct"], one["indexed"]) != (count, count):
                    missing.append(f"{identity}: {count} produced, {one}")
                elif minute < last[log.venue] and one["state"] == "open":
                    missing.append(f"{identity}: open, {one}")
        open_candles = [key for key, one in documents(self._client, CANDLES).items() if not one["is_closed"]]
        if len(open_candles) != len(MARKETS) * len(self.logs):
            missing.append(f"open candles: {open_candles}")
        if not missing:
            for identity, differing in wrong_scores(self._client, LATEST_MS).items():
                venue, _, _, minute, _ = identity.split("|")
                # Nothing is scored in the minute that is not over.
                if int(minute) != last[venue]:
                    missing.append(f"score {identity}: {differing}")
        return missing


def trades_of(client: Elasticsearch) -> Documents:
    return documents(client, TRADES)


def without_stamps(found: Documents) -> Documents:
    return {key: {name: it for name, it in one.items() if name not in WRITTEN_AT} for key, one in found.items()}


def differing(found: Documents, wanted: Documents) -> dict[str, dict[str, tuple[Any, Any]]]:
    """Return the fields that are other than wanted, by document; of a document that is not there, every field."""
    fields = {}
    for key in found.keys() | wanted.keys():
        one, other = found.get(key, {}), wanted.get(key, {})
        fields[key] = {name: (one.get(name), other.get(name)) for name in one.keys() | other.keys()}
    different = {key: {name: pair for name, pair in one.items() if pair[0] != pair[1]} for key, one in fields.items()}
    return {key: one for key, one in different.items() if one}


@pytest.fixture(scope="module")
def stack(servers: Servers) -> Iterator[Stack]:
    options = fast_options()
    with servers.running_stack(PARTS, options, except_for=("spark",)) as running:
        promote_forest(running.state.root / "models")
        ready = f"{running.addresses.inference}/health/ready"
        eventually(lambda: httpx.get(ready, trust_env=False).status_code == 200, "the model is served")
        yield running


@pytest.fixture
def read(stack: Stack) -> Iterator[Callable[..., dict[str, Documents]]]:
    with Elasticsearch(stack.addresses.elasticsearch, request_timeout=60) as client:
        yield lambda *logs, is_killed=False: Reading(stack, client, list(logs)).run(is_killed)


@pytest.mark.timeout(600)
def test_trades_candles_scores_and_reconciliation_equal_each_venue_alone_over_a_killed_stream(read):
    logs = [venue_log(seed, venue, ahead_ms) for seed, (venue, ahead_ms) in enumerate(VENUES.items())]
    together = read(*logs, is_killed=True)
    alone = [read(log) for log in logs]
    for index in LASTING:
        wanted = alone[0].get(index, {}) | alone[1].get(index, {})
        assert differing(together[index], wanted) == {}, index
        assert {one["venue"] for one in wanted.values()} == ({"east"} if index == names.INDEX_GAPS else set(VENUES))
    stored = together[TRADES].values()
    assert len(stored) == sum(sum(log.counts.values()) for log in logs)
    assert len({one["probability"] for one in stored}) > 500, "predictions depend on what came before"
    states = Counter(one["state"] for one in together[RECONCILIATION].values())
    assert states["gap"] == 1 and states["complete"] > 2 * len(MARKETS) * (MINUTES - 1) and states["incomplete"] == 0

"""Several producers share the symbols: the real simulator, a real broker, replicas that come, go and are killed.

The exchange's ledger records how many sockets each trade was sent to, and Kafka is read directly.
A scripted exchange covers what the simulator cannot do (other symbols on top, a quiet market).
"""

import json
import signal
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from support import aeventually, eventually
from tapeline import names
from tapeline.records.gap import Gap
from tapeline.trade import WireTrade, instrument_of
from tapeline_local.demo import readers
from tapeline_local.demo.reconcile import IndexedGap, IndexedTrade, ReconciliationReport, reconcile
from tapeline_local.stack.probes import TOPIC_SHARDS_PARTITIONS
from tapeline_local.stack.stack import Stack

from stack.fast import fast_options, running_stack
from stack.test_producer import Exchange, KafkaTopics, Process, gaps, wait_stored, wait_subscribed

# Before its back-fill the busiest spot symbol has more trades than the 60 that REST returns.
RATE_PER_S, BACKFILL_DELAY_S = 240.0, 2.5
REPLICAS = ("producer", "producer-2", "producer-3")
OUTAGE_S = 12.0


class Run:
    """A stack with three producers, and the moments at which symbols changed hands in it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.ledger = stack.state.root / "ledger.jsonl"
        self.moves: list[tuple[int, int]] = []
        # None kept: a replica that starts again closes them.
        limits = httpx.Limits(max_keepalive_connections=0)
        self.http = httpx.Client(timeout=15, trust_env=False, limits=limits)

    def rows(self, since: int = 0) -> list[dict[str, Any]]:
        """Return the ledger's whole rows behind an offset."""
        with self.ledger.open("rb") as file:
            file.seek(since)
            return [json.loads(line) for line in file if line.endswith(b"\n")]

    def end(self) -> int:
        """Return the offset behind the ledger's last whole row."""
        return self.ledger.read_bytes().rfind(b"\n") + 1

    def owned(self, part: str) -> set[int]:
        """Return the shards that a replica says are its own, ready or not."""
        address = self.stack.addresses.producers[REPLICAS.index(part)]
        try:
            return set(self.http.get(f"{address}/health/ready").json()["owns"]["shards"])
        except httpx.TransportError:
            return set()

    def is_covered_once(self) -> bool:
        """Tell whether in the next two seconds each symbol trades, before exactly one socket."""
        start = self.end()
        time.sleep(2)
        rows = self.rows(start)
        return {row["sockets"] for row in rows} == {1} and len({(r["market_type"], r["symbol"]) for r in rows}) > 12

    def settled(self, *parts: str) -> dict[str, set[int]]:
        """Wait until these replicas own about as much each and each symbol is read once; return what each owns."""

        def shared_out() -> bool:
            owned = [self.owned(part) for part in parts]
            is_even = min(map(len, owned)) >= TOPIC_SHARDS_PARTITIONS // len(parts)
            every = list(range(TOPIC_SHARDS_PARTITIONS))
            return is_even and sorted(shard for shards in owned for shard in shards) == every

        eventually(shared_out, f"{parts} own every shard once", 120)
        eventually(self.is_covered_once, "each symbol is read by one replica", 120)
        return {part: self.owned(part) for part in parts}


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    slow = {
        "producer": {
            "PRODUCER_BACKFILL_DELAY_S": str(BACKFILL_DELAY_S),
            "PRODUCER_BACKFILL_TIMEOUT_S": "20",
            "PRODUCER_HANDOVER_S": "25",
        }
    }
    options = fast_options(rate_per_s=RATE_PER_S, producers=3, partitions=3, extra_env=slow)
    parts = ("kafka", "simulator", "producer")
    with running_stack(parts, options) as running:
        yield Run(running)


def test_three_replicas_read_every_symbol_once_between_them(run):
    assert sorted(map(len, run.settled(*REPLICAS).values())) == [21, 21, 22]


def test_a_replica_that_is_stopped_in_order_hands_over_without_a_moment_unread(run):
    before, start, begun = run.settled(*REPLICAS), run.end(), now_ms()
    run.stack.stop("producer-3")
    after = run.settled("producer", "producer-2")
    run.moves.append((begun, now_ms()))
    assert all(before[part] <= after[part] for part in after), "what the others had stays with them"
    assert min(row["sockets"] for row in run.rows(start)) >= 1


def test_an_added_replica_gets_its_shards_and_the_others_keep_the_rest(run):
    before, start, begun = run.settled("producer", "producer-2"), run.end(), now_ms()
    run.stack.start("producer-3")
    run.stack.wait_ready("producer-3")
    after = run.settled(*REPLICAS)
    run.moves.append((begun, now_ms()))
    assert all(after[part] <= before[part] for part in before), "nothing moved between the others"
    assert min(row["sockets"] for row in run.rows(start)) >= 1


def test_hand_overs_in_order_lose_nothing_and_leave_no_gap(run):
    with paused(run):
        report, gaps = compare(run)
    assert report.is_reconciled(), report.as_dict()
    assert report.covered == 0
    assert since_first_move(run, gaps) == []


def test_symbols_of_a_killed_replica_are_taken_over_by_the_others(run):
    before, begun = run.settled(*REPLICAS), now_ms()
    run.stack.kill("producer-2", signal.SIGKILL)

    def stays_stopped() -> bool:
        # One that has just died is neither running nor started again yet, and a stop passes it by.
        run.stack.stop("producer-2")
        return {part.name: part.state for part in run.stack.status()}["producer-2"] == "STOPPED"

    eventually(stays_stopped, "the killed replica stays away")
    after = run.settled("producer", "producer-3")
    run.moves.append((begun, now_ms()))
    assert all(before[part] <= after[part] for part in after)
    run.stack.start("producer-2")
    run.stack.wait_ready("producer-2")
    run.settled(*REPLICAS)
    run.moves.append((begun, now_ms()))


def test_an_outage_of_kafka_longer_than_a_session_costs_no_trade(run):
    """Every replica falls out of the group at once; none may stop reading for that."""
    start, begun = run.end(), now_ms()
    run.stack.stop("kafka")
    eventually(lambda: now_ms() > begun + OUTAGE_S * 1000, "the outage has lasted", OUTAGE_S + 10)
    run.stack.start("kafka")
    run.stack.wait_ready("kafka")
    for part in REPLICAS:
        run.stack.wait_ready(part)
    run.settled(*REPLICAS)
    run.moves.append((begun, now_ms()))
    assert min(row["sockets"] for row in run.rows(start)) >= 1


def test_after_all_that_every_trade_is_in_kafka_or_inside_an_honest_gap(run):
    with paused(run):
        report, gaps = compare(run)
    assert report.is_reconciled(), report.as_dict()
    assert report.sent > 10_000
    killed, later = run.moves[2][0], since_first_move(run, gaps)
    assert all(gap.from_traded_at >= killed - 5_000 for gap in later), "only the killed replica cost anything"


def test_trades_are_doubled_around_hand_overs_only(run):
    seen: Counter[tuple[str, str, str, int]] = Counter()
    for trade in read_trades(run):
        seen[trade.market_type, trade.symbol, trade.trade_id, trade.traded_at] += 1
    first = min(begun for begun, _ in run.moves)
    doubled = [key[3] for key, count in seen.items() if count > 1 and key[3] > first]
    inside = [when for when in doubled if any(begun - 5_000 < when < ended for begun, ended in run.moves)]
    assert doubled == inside
    assert doubled, "readers overlapped"


def control(run: Run, what: str) -> None:
    httpx.post(f"{run.stack.addresses.simulator}/simulator/{what}", timeout=5).raise_for_status()


@contextmanager
def paused(run: Run) -> Iterator[None]:
    """Stop the exchange, wait until Kafka has not grown for a while, and let the exchange go on afterwards."""
    control(run, "pause")
    try:
        wait_still(run)
        yield
    finally:
        control(run, "resume")


def wait_still(run: Run) -> None:
    since = {"records": -1, "when": 0.0}

    def is_still() -> bool:
        records = len(read_topic(run, names.TOPIC_TRADES)) + len(read_topic(run, names.TOPIC_GAPS))
        if records != since["records"]:
            since.update(records=records, when=time.monotonic())
        return time.monotonic() - since["when"] > 6.0

    eventually(is_still, "nothing is written any more", 90)


def read_topic(run: Run, topic: str) -> list[bytes]:
    config = {"bootstrap.servers": run.stack.addresses.kafka, "group.id": uuid.uuid4().hex, "log_level": 0}
    consumer = Consumer({**config, "enable.auto.commit": False})
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        highs = {number: consumer.get_watermark_offsets(TopicPartition(topic, number), 10)[1] for number in partitions}
        consumer.assign([TopicPartition(topic, number, 0) for number, high in highs.items() if high])
        found: list[bytes] = []
        while len(found) < sum(highs.values()):
            left = min(5_000, sum(highs.values()) - len(found))
            found += [message.value() for message in consumer.consume(left, 0.2) if message.error() is None]
        return found
    finally:
        consumer.close()


def read_trades(run: Run) -> list[WireTrade]:
    return [WireTrade.model_validate_json(value) for value in read_topic(run, names.TOPIC_TRADES)]


def since_first_move(run: Run, gaps: list[Gap]) -> list[Gap]:
    """Return the gaps that were found after the replicas had settled for the first time.

    While they start, a symbol may change hands before anybody has written a trade of it; the next owner cannot know
    that there were none, and says so.
    """
    return [gap for gap in gaps if gap.detected_at >= run.moves[0][0]]


def compare(run: Run) -> tuple[ReconciliationReport, list[Gap]]:
    """Compare the ledger with Kafka's records, of each identity the first one, as the stream does."""
    stored: dict[str, IndexedTrade] = {}
    for trade in read_trades(run):
        identity = names.identity(trade.venue, trade.market_type, trade.symbol, trade.trade_id)
        order = trade.traded_at, trade.sequence or 0, trade.frame_index
        fields = trade.price, trade.quantity, trade.side, "warming_up", None, None
        stored.setdefault(identity, IndexedTrade(identity, instrument_of(trade), order, *fields))
    indexed_gaps = []
    gaps = [Gap.model_validate_json(value) for value in read_topic(run, names.TOPIC_GAPS)]
    for gap in gaps:
        prefix = f"{gap.venue}|{gap.market_type}|{gap.symbol}"
        ends = [None if i is None else f"{prefix}|{i}" for i in (gap.from_trade_id, gap.to_trade_id)]
        indexed_gaps.append(IndexedGap(gap.instrument, ends[0], gap.from_traded_at, str(ends[1])))
    return reconcile(readers.read_ledger(Path(run.ledger)), stored.values(), indexed_gaps), gaps


class Leavable(Exchange):
    """The scripted exchange, from which topics can be unsubscribed."""

    async def _respond(self, socket: web.WebSocketResponse, message: dict[str, Any]) -> None:
        if message["op"] != "unsubscribe":
            await super()._respond(socket, message)
            return
        self._topics[socket].difference_update(message["args"])
        await socket.send_json({"success": True, "ret_msg": "", "req_id": message["req_id"], "op": "unsubscribe"})


@pytest.fixture
async def exchange() -> AsyncIterator[Leavable]:
    one = Leavable()
    await one.start()
    yield one
    await one.stop()


@pytest.fixture
def kafka_topics(run: Run) -> KafkaTopics:
    one = KafkaTopics(run.stack.addresses.kafka)
    one.create()
    return one


@pytest.fixture
def start(exchange: Leavable, kafka_topics: KafkaTopics, tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts members of one group on the test's exchange and topics; settings may be given by name."""
    running: list[Process] = []

    def one(**settings: object) -> Process:
        given = {
            "websocket_url": f"ws://127.0.0.1:{exchange.port}", "rest_url": f"http://127.0.0.1:{exchange.port}",
            "market_types": "spot", "health_port": 0, "group": kafka_topics.trades,
            "kafka_bootstrap": kafka_topics.bootstrap, "topic_shards": shards_topic_of(kafka_topics),
            "topic_trades": kafka_topics.trades, "topic_gaps": kafka_topics.gaps, "topic_rejects": kafka_topics.rejects,
            "backfill_delay_s": 0.05, "backfill_timeout_s": 10, "kafka_check_s": 0.5, **settings,
        }  # fmt: skip
        environment = {f"PRODUCER_{name.upper()}": str(value) for name, value in given.items()}
        running.append(Process(tmp_path / f"producer-{len(running)}.log", environment))
        return running[-1]

    yield one
    for process in running:
        process.popen.kill()
        process.popen.wait()


def shards_topic_of(kafka_topics: KafkaTopics) -> str:
    return f"shards-{kafka_topics.trades}"


def create_shards(kafka_topics: KafkaTopics, count: int) -> None:
    admin = AdminClient({"bootstrap.servers": kafka_topics.bootstrap})
    for future in admin.create_topics([NewTopic(shards_topic_of(kafka_topics), count, 1)]).values():
        future.result(60)


def owns(process: Process) -> list[int]:
    return json.loads(process.get("/health/ready")[1] or "{}").get("owns", {}).get("shards", [])


async def test_newly_selected_symbols_are_subscribed_and_deselected_ones_unsubscribed(
    exchange: Leavable, kafka_topics: KafkaTopics, start: Callable[..., Process]
) -> None:
    create_shards(kafka_topics, 4)
    process = start(reselect_s=1.0)
    await process.ready()
    sent = await exchange.trade("BTCUSDT", 3) + await exchange.trade("ETHUSDT", 3)
    await wait_stored(kafka_topics, 6)
    exchange.listed["spot"] = ["ETHUSDT", "SOLUSDT"]
    await wait_subscribed(exchange, "SOLUSDT")
    await aeventually(lambda: not exchange.listeners("publicTrade.BTCUSDT"), "BTCUSDT is unsubscribed")
    await exchange.trade("BTCUSDT", 200)
    sent += await exchange.trade("ETHUSDT", 2) + await exchange.trade("SOLUSDT", 2)
    assert sorted(await wait_stored(kafka_topics, len(sent))) == sorted(sent)
    assert (exchange.connects, kafka_topics.read_gaps(), kafka_topics.read_rejects()) == (1, [], [])
    assert process.metric('tapeline_owned_symbols{market_type="spot"}') == 2


async def test_symbol_selected_again_reports_the_gap_since(
    exchange: Leavable, kafka_topics: KafkaTopics, start: Callable[..., Process]
) -> None:
    create_shards(kafka_topics, 1)
    await start(reselect_s=1.0).ready()
    before = await exchange.trade("BTCUSDT", 3)
    await wait_stored(kafka_topics, 3)
    exchange.listed["spot"] = ["ETHUSDT"]
    await aeventually(lambda: not exchange.listeners("publicTrade.BTCUSDT"), "BTCUSDT is unsubscribed")
    missed = await exchange.trade("BTCUSDT", 100)
    exchange.listed["spot"] = ["ETHUSDT", "BTCUSDT"]
    assert await wait_stored(kafka_topics, 63) == before + missed[-60:]
    (gap,) = await gaps(kafka_topics)
    assert (gap.from_trade_id, gap.to_trade_id) == (before[-1], missed[-60])


async def test_replica_without_a_shard_is_ready_and_takes_over_when_the_owner_stops(
    exchange: Leavable, kafka_topics: KafkaTopics, start: Callable[..., Process]
) -> None:
    create_shards(kafka_topics, 1)
    first = start()
    await first.ready()
    second = start()
    await second.ready()
    await aeventually(lambda: sorted([owns(first), owns(second)]) == [[], [0]], "one owns the shard, one nothing")
    owner, idle = (first, second) if owns(first) else (second, first)
    assert json.loads(idle.get("/health/ready")[1])["owns"] == {"shards": [], "symbols": 0}
    sent = await exchange.trade("BTCUSDT", 5)
    await wait_stored(kafka_topics, 5)
    assert await owner.end(signal.SIGTERM) == 0
    assert owns(idle) == [0]
    sent += await exchange.trade("BTCUSDT", 5)
    assert sorted(set(await wait_stored(kafka_topics, 10))) == sorted(sent)
    assert kafka_topics.read_gaps() == []


async def test_last_replica_to_stop_does_not_wait_for_a_claim(
    exchange: Leavable, kafka_topics: KafkaTopics, start: Callable[..., Process]
) -> None:
    create_shards(kafka_topics, 4)
    process = start(handover_s=60)
    await process.ready()
    assert await process.end(signal.SIGTERM) == 0, "within 45 s"
    assert "no other replica in the group" in process.log


async def test_replica_without_the_topic_of_shards_waits_and_names_it(
    exchange: Leavable, kafka_topics: KafkaTopics, start: Callable[..., Process]
) -> None:
    process = start()
    await aeventually(
        lambda: shards_topic_of(kafka_topics) in process.get("/health/ready")[1], "the missing topic is named"
    )
    assert exchange.connects == 0
    create_shards(kafka_topics, 2)
    await process.ready()
    assert owns(process) == [0, 1]

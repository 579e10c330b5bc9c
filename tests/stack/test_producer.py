"""The producer as a process, between a scripted exchange with real sockets and a real Kafka."""

import asyncio
import base64
import contextlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from support import aeventually
from tapeline.enums import TradeSource
from tapeline.records.gap import Gap
from tapeline.records.reject import Reject
from tapeline.trade import WireTrade

START_MS = 1_790_000_000_000


class Exchange:
    """Serves Bybit V5 as far as a producer uses it, and keeps every trade it has made."""

    def __init__(self) -> None:
        self.listed = {"spot": ["BTCUSDT", "ETHUSDT"], "linear": ["BTCUSDT"]}
        self.refused: dict[str, str] = {}
        self.made: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self.requests: list[list[str]] = []
        self.connects = 0
        self.pings = 0
        self.rest_status = 200
        self.rest_limit: int | None = None
        self.handshake_status = 101
        self.drops_frames = False
        self.stays_silent_on_subscribe = False
        self._numbers = itertools.count(1)
        self._topics: dict[web.WebSocketResponse, set[str]] = {}
        self._market_type: dict[web.WebSocketResponse, str] = {}
        self.port = 0
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/v5/public/{market_type}", self._socket)
        app.router.add_get("/v5/market/{what}", self._rest)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        await self.cut()
        assert self._runner is not None
        await self._runner.cleanup()

    async def cut(self) -> None:
        """Drop every connection without a closing frame."""
        for socket in list(self._topics):
            transport = socket._req.transport if socket._req is not None else None
            if transport is not None:
                transport.abort()
        self._topics.clear()

    async def trade(
        self, symbol: str, count: int = 1, market_type: str = "spot", *, sweep: bool = False, frame: int = 1024
    ) -> list[str]:
        """Create trades, keep them, and send them to the subscribers; return their ids in order."""
        fresh = []
        for place in range(count):
            if not (sweep and place):
                number = next(self._numbers)
            trade_id = f"{market_type}-{symbol}-{number}-{place}"
            data = {"T": START_MS + number * 7, "s": symbol, "S": "Buy", "v": "0.010", "p": f"6500{number % 10}.10"}
            fresh.append({**data, "i": trade_id, "BT": False, "RPI": False, "seq": 1000 + number})
        self.made.setdefault((market_type, symbol), []).extend(fresh)
        for start in range(0, count, frame):
            part = fresh[start : start + frame]
            message = {"topic": f"publicTrade.{symbol}", "type": "snapshot", "ts": part[0]["T"], "data": part}
            await self.send(market_type, f"publicTrade.{symbol}", json.dumps(message))
        return [str(one["i"]) for one in fresh]

    async def send(self, market_type: str, topic: str, text: str) -> None:
        if self.drops_frames:
            return
        for socket, topics in list(self._topics.items()):
            if self._market_type[socket] == market_type and topic in topics:
                # A killed client is still listed until its reader has seen the end of its connection.
                with contextlib.suppress(ConnectionError):
                    await socket.send_str(text)

    def listeners(self, topic: str, market_type: str = "spot") -> int:
        return sum(self._market_type[s] == market_type and topic in topics for s, topics in self._topics.items())

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        self.connects += 1
        if self.handshake_status != 101:
            return web.Response(status=self.handshake_status)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._topics[socket] = set()
        self._market_type[socket] = request.match_info["market_type"]
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._respond(socket, json.loads(message.data))
        finally:
            self._topics.pop(socket, None)
        return socket

    async def _respond(self, socket: web.WebSocketResponse, message: dict[str, Any]) -> None:
        if message["op"] == "ping":
            self.pings += 1
            await socket.send_json({"success": True, "ret_msg": "pong", "conn_id": "x", "op": "ping"})
            return
        self.requests.append(message["args"])
        if self.stays_silent_on_subscribe:
            return
        market_type = self._market_type[socket]
        text = "subscribe"
        if market_type == "spot" and len(message["args"]) > 10:
            text = "args size >10"
        for topic in message["args"]:
            if topic.removeprefix("publicTrade.") in self.refused:
                text = self.refused[topic.removeprefix("publicTrade.")]
        success = text == "subscribe"
        if success:
            self._topics[socket].update(message["args"])
        ack = {"success": success, "ret_msg": text, "conn_id": "x", "req_id": message["req_id"], "op": "subscribe"}
        await socket.send_json(ack)

    async def _rest(self, request: web.Request) -> web.Response:
        what, market_type = request.match_info["what"], request.query.get("category", "spot")
        if what == "recent-trade" and self.rest_status != 200:
            return web.Response(status=self.rest_status)
        items: list[dict[str, Any]] = []
        if what == "instruments-info":
            items = [{"symbol": s, "quoteCoin": "USDT", "status": "Trading"} for s in self.listed[market_type]]
        elif what == "tickers":
            items = [{"symbol": s, "turnover24h": "1.5"} for s in self.listed[market_type]]
        elif what == "recent-trade":
            limit = self.rest_limit or int(request.query["limit"])
            made = self.made.get((market_type, request.query["symbol"]), [])
            items = [_as_rest(one) for one in reversed(made[-limit:])]
            if self.rest_limit is not None:
                requested = int(request.query["limit"])
                items += items[-1:] * (requested - len(items)) if len(items) == limit else []
        return web.json_response({"retCode": 0, "retMsg": "OK", "result": {"list": items}, "time": 1})


def _as_rest(made: dict[str, Any]) -> dict[str, Any]:
    return {
        "execId": made["i"], "symbol": made["s"], "price": made["p"], "size": made["v"], "side": made["S"],
        "time": str(made["T"]), "isBlockTrade": False, "isRPITrade": False, "seq": str(made["seq"]),
    }  # fmt: skip


class KafkaTopics:
    """The topics of one test, and the records in them."""

    def __init__(self, bootstrap: str, partitions: int = 2) -> None:
        self.bootstrap = bootstrap
        run = uuid.uuid4().hex[:8]
        self.trades, self.gaps, self.rejects = f"trades-{run}", f"gaps-{run}", f"rejects-{run}"
        self._partitions = partitions

    def create(self) -> None:
        topics = [NewTopic(name, self._partitions, 1) for name in (self.trades, self.gaps, self.rejects)]
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        for future in admin.create_topics(topics).values():
            future.result(60)

    def _read(self, topic: str) -> list[Any]:
        config = {"bootstrap.servers": self.bootstrap, "group.id": uuid.uuid4().hex, "enable.auto.commit": False}
        consumer = Consumer(config)
        try:
            ends = {}
            for number in range(self._partitions):
                _, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=30)
                ends[number] = high
            consumer.assign([TopicPartition(topic, n, 0) for n, high in ends.items() if high])
            messages: list[Any] = []
            while len(messages) < sum(ends.values()):
                left = sum(ends.values()) - len(messages)
                messages += [m for m in consumer.consume(left, 1.0) if m.error() is None]
            return messages
        finally:
            consumer.close()

    def read_trades(self) -> list[Any]:
        messages = self._read(self.trades)
        trades = [WireTrade.model_validate_json(m.value()) for m in messages]
        assert all(m.key().decode() == t.symbol for m, t in zip(messages, trades, strict=True))  # type: ignore[attr-defined]
        return trades

    def ids(self) -> list[str]:
        return [trade.trade_id for trade in self.read_trades()]

    def read_gaps(self) -> list[Gap]:
        return [Gap.model_validate_json(m.value()) for m in self._read(self.gaps)]

    def read_rejects(self) -> list[Reject]:
        return [Reject.model_validate_json(m.value()) for m in self._read(self.rejects)]


class Process:
    """One run of `python -m tapeline_producer`."""

    def __init__(self, log: Path, environment: dict[str, str]) -> None:
        self._log = log
        self._offset = log.stat().st_size if log.exists() else 0
        with log.open("ab") as out:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "tapeline_producer"], env={**os.environ, **environment}, stdout=out, stderr=out
            )

    @property
    def log(self) -> str:
        return self._log.read_bytes()[self._offset :].decode()

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body of a path of the health server; status 0 before it listens."""
        port = re.search(r'"health_port": (\d+)', self.log)
        if port is None:
            assert self.popen.poll() is None, self.log
            return 0, ""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}{path}", timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            assert self.popen.poll() is None, self.log
            return 0, ""

    async def ready(self) -> None:
        async def is_ready() -> bool:
            # The exchange of the test responds on this loop.
            return (await asyncio.to_thread(self.get, "/health/ready"))[0] == 200

        await aeventually(is_ready, "the producer is ready", 60)

    def metric(self, line: str) -> float:
        found = re.search(rf"^{re.escape(line)} (\S+)$", self.get("/metrics")[1], re.MULTILINE)
        return float(found[1]) if found else 0.0

    async def end(self, number: signal.Signals) -> int:
        self.popen.send_signal(number)
        return await asyncio.to_thread(self.popen.wait, 45)


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    one = Exchange()
    await one.start()
    yield one
    await one.stop()


@pytest.fixture
def kafka_topics(kafka_bootstrap: str) -> KafkaTopics:
    one = KafkaTopics(kafka_bootstrap)
    one.create()
    return one


Start = Callable[..., Process]


@pytest.fixture
def start(exchange: Exchange, kafka_topics: KafkaTopics, tmp_path: Path) -> Iterator[Start]:
    """Starts producers on the test's exchange and topics; settings may be given by name."""
    running: list[Process] = []

    def one(**settings: object) -> Process:
        given = {
            "websocket_url": f"ws://127.0.0.1:{exchange.port}", "rest_url": f"http://127.0.0.1:{exchange.port}",
            "exchange": "simulator", "market_types": "spot", "health_port": 0,
            "kafka_bootstrap": kafka_topics.bootstrap,
            "topic_trades": kafka_topics.trades, "topic_gaps": kafka_topics.gaps, "topic_rejects": kafka_topics.rejects,
            "reconnect_min_s": 0.2, "reconnect_max_s": 0.4, "kafka_check_s": 0.5,
            "backfill_delay_s": 0.05, "backfill_timeout_s": 10, **settings,
        }  # fmt: skip
        running.append(Process(tmp_path / "producer.log", {f"PRODUCER_{k.upper()}": str(v) for k, v in given.items()}))
        return running[-1]

    yield one
    for process in running:
        process.popen.kill()
        process.popen.wait()


async def wait_stored(kafka_topics: KafkaTopics, count: int) -> list[str]:
    """Return the ids in Kafka once there are at least `count`."""

    async def enough() -> list[str]:
        ids = await asyncio.to_thread(kafka_topics.ids)
        return ids if len(ids) >= count else []

    return await aeventually(enough, f"{count} trades in Kafka")


async def gaps(kafka_topics: KafkaTopics) -> list[Gap]:
    """Return the gaps once there is one: they lie in another topic than the trades behind them."""
    return await aeventually(lambda: asyncio.to_thread(kafka_topics.read_gaps), "a gap")


async def wait_subscribed(exchange: Exchange, symbol: str = "BTCUSDT", market_type: str = "spot") -> None:
    topic = f"publicTrade.{symbol}"
    await aeventually(lambda: exchange.listeners(topic, market_type) == 1, f"{market_type} {symbol} is subscribed")


async def test_trades_of_both_markets_arrive_once_with_every_digit_and_in_order(
    exchange: Exchange, kafka_topics: KafkaTopics, start: Start
) -> None:
    await start(market_types="spot,linear").ready()
    sent = []
    for _ in range(20):
        sent += await exchange.trade("BTCUSDT", 3, sweep=True)
        sent += await exchange.trade("ETHUSDT")
        sent += await exchange.trade("BTCUSDT", 2, market_type="linear")
    assert sorted(await wait_stored(kafka_topics, len(sent))) == sorted(sent)
    trades = [t for t in kafka_topics.read_trades() if (t.market_type, t.symbol) == ("spot", "BTCUSDT")]
    assert [(t.trade_id, t.price, t.quantity, t.sequence) for t in trades] == [
        (m["i"], m["p"], m["v"], m["seq"]) for m in exchange.made["spot", "BTCUSDT"]
    ]
    assert [t.frame_index for t in trades] == [0, 1, 2] * 20
    assert kafka_topics.read_gaps() == [] and kafka_topics.read_rejects() == []


async def test_one_taker_order_split_over_frames_is_numbered_through(
    exchange: Exchange, kafka_topics: KafkaTopics, start: Start
) -> None:
    await start().ready()
    await exchange.trade("BTCUSDT", 2500, sweep=True)
    await wait_stored(kafka_topics, 2500)
    assert [trade.frame_index for trade in kafka_topics.read_trades()] == list(range(2500))


async def test_trades_missed_while_disconnected_come_back_over_rest_without_a_gap(
    exchange: Exchange, kafka_topics: KafkaTopics, start: Start
) -> None:
    await start().ready()
    sent = await exchange.trade("BTCUSDT", 5)
    await wait_stored(kafka_topics, 5)
    await exchange.cut()
    sent += await exchange.trade("BTCUSDT", 30)
    await wait_subscribed(exchange)
    sent += await exchange.trade("BTCUSDT", 5)
    assert await wait_stored(kafka_topics, 40) == sent
    assert [t.source for t in kafka_topics.read_trades()].count(TradeSource.BACKFILL) >= 30
    assert kafka_topics.read_gaps() == []


async def test_outage_longer_than_rest_reaches_becomes_one_gap_with_exact_ends(
    exchange: Exchange, kafka_topics: KafkaTopics, start: Start
) -> None:
    await start().ready()
    before = await exchange.trade("BTCUSDT", 5)
    await wait_stored(kafka_topics, 5)
    await exchange.cut()
    missed = await exchange.trade("BTCUSDT", 100)
    await wait_subscribed(exchange)
    ids = await wait_stored(kafka_topics, 65)
    assert ids == before + missed[40:]
    (gap,) = await gaps(kafka_topics)
    assert (gap.from_trade_id, gap.to_trade_id, gap.reason) == (before[-1], missed[40], "reconnect")
    assert gap.backfilled == 60


async def test_rest_that_fails_makes_a_gap_at_the_next_trade_and_nothing_waits_for_ever(
    exchange: Exchange, kafka_topics: KafkaTopics, start: Start
) -> None:
    await start(backfill_timeout_s=1.5).ready()
    before = await exchange.trade("BTCUSDT", 2)
    await wait_stored(kafka_topics, 2)
    exchange.rest_status = 503
    await exchange.cut()
    await exchange.trade("BTCUSDT", 3)
    await wait_subscribed(exchange)
    after = await exchange.trade("BTCUSDT", 2)
    assert await wait_stored(kafka_topics, 4) == before + after
    (gap,) = await gaps(kafka_topics)
    assert (gap.from_trade_id, gap.to_trade_id, gap.backfilled) == (before[-1], after[0], 0)


async def test_kill_and_restart_resume_from_the_log_without_loss_or_double(
    exchange: Exchange, kafka_topics: KafkaTopics, start: Start
) -> None:
    first = start()
    await first.ready()
    sent = await exchange.trade("BTCUSDT", 4, sweep=True)
    await wait_stored(kafka_topics, 4)
    await first.end(signal.SIGKILL)
    sent += await exchange.trade("BTCUSDT", 20)
    await start().ready()
    sent += await exchange.trade("BTCUSDT", 3)
    assert await wait_stored(kafka_topics, len(sent)) == sent
    assert kafka_topics.read_gaps() == []


async def test_first_trades_of_a_symbol_that_died_with_a_producer_come_with_the_next_one(
    exchange: Exchange, kafka_topics: KafkaTopics, start: Start
) -> None:
    first = start()
    await first.ready()
    sent = await exchange.trade("BTCUSDT", 2)
    await wait_stored(kafka_topics, 2)
    await first.end(signal.SIGKILL)
    # As if they had been read and never acknowledged by Kafka: the log has no trade of this symbol.
    lost = await exchange.trade("ETHUSDT", 3)
    await start().ready()
    # Two symbols, two partitions: no order between them.
    assert sorted(await wait_stored(kafka_topics, 5)) == sorted(sent + lost)
    assert kafka_topics.read_gaps() == []


async def test_first_trades_of_a_symbol_that_cannot_be_back_filled_are_a_gap_from_a_time(
    exchange: Exchange, kafka_topics: KafkaTopics, start: Start
) -> None:
    first = start()
    await first.ready()
    await exchange.trade("BTCUSDT")
    await wait_stored(kafka_topics, 1)
    await first.end(signal.SIGKILL)
    lost = await exchange.trade("ETHUSDT", 100)
    start()
    await wait_stored(kafka_topics, 61)
    (gap,) = await gaps(kafka_topics)
    assert (gap.symbol, gap.from_trade_id, gap.to_trade_id) == ("ETHUSDT", None, lost[-60])
    assert gap.from_traded_at < exchange.made["spot", "BTCUSDT"][-1]["T"] < exchange.made["spot", "ETHUSDT"][0]["T"]


async def test_restart_after_a_long_outage_reports_a_restart_gap(
    exchange: Exchange, kafka_topics: KafkaTopics, start: Start
) -> None:
    first = start()
    await first.ready()
    before = await exchange.trade("BTCUSDT", 2)
    await wait_stored(kafka_topics, 2)
    await first.end(signal.SIGKILL)
    missed = await exchange.trade("BTCUSDT", 200)
    start()
    assert await wait_stored(kafka_topics, 62) == before + missed[-60:]
    (gap,) = await gaps(kafka_topics)
    assert (gap.reason, gap.from_trade_id, gap.to_trade_id) == ("restart", before[-1], missed[-60])


async def test_symbol_beyond_the_part_of_the_log_that_is_read_gets_a_gap_from_a_time(
    exchange: Exchange, kafka_bootstrap: str, start: Start
) -> None:
    own = KafkaTopics(kafka_bootstrap, partitions=1)
    own.create()
    topics = {"topic_trades": own.trades, "topic_gaps": own.gaps, "topic_rejects": own.rejects}
    first = start(**topics)
    await first.ready()
    await exchange.trade("BTCUSDT", 2)
    await wait_stored(own, 2)
    await exchange.trade("ETHUSDT", 50)
    await wait_stored(own, 52)
    await first.end(signal.SIGKILL)
    missed = await exchange.trade("BTCUSDT", 100)
    start(**topics, resume_records=10)
    await wait_stored(own, 112)
    (gap,) = await gaps(own)
    oldest_read = exchange.made["spot", "ETHUSDT"][-10]["T"]
    assert (gap.from_trade_id, gap.from_traded_at, gap.to_trade_id) == (None, oldest_read, missed[-60])


async def test_sigterm_flushes_what_was_read_and_exits_with_zero(
    exchange: Exchange, kafka_topics: KafkaTopics, start: Start
) -> None:
    process = start(kafka_linger_ms=900)
    await process.ready()
    sent = await exchange.trade("BTCUSDT", 500)
    await aeventually(
        lambda: process.metric('tapeline_trades_received_total{market_type="spot"}') == 500, "all trades are read"
    )
    assert await process.end(signal.SIGTERM) == 0
    assert kafka_topics.ids() == sent


async def test_bad_frames_become_rejects_with_their_bytes_and_the_socket_stays(
    exchange: Exchange, kafka_topics: KafkaTopics, start: Start
) -> None:
    await start().ready()
    topic = "publicTrade.BTCUSDT"
    good, bad = ({"T": START_MS, "s": "BTCUSDT", "S": "Buy", "v": "1", "p": p, "i": p} for p in ("5", "-5"))
    for text in ("hello", '{"topic":"publicTrade.BTCUSDT","data":null}', '{"topic":"kline","data":[]}'):
        await exchange.send("spot", topic, text)
    await exchange.send("spot", topic, json.dumps({"topic": topic, "data": [good, bad, {**good, "i": "6"}]}))
    assert await wait_stored(kafka_topics, 2) == ["5", "6"]
    await aeventually(lambda: len(kafka_topics.read_rejects()) >= 4, "4 rejects")
    rejects = kafka_topics.read_rejects()
    raws = Counter(base64.b64decode(reject.raw_base64) for reject in rejects)
    assert raws[b"hello"] == raws[json.dumps(bad).encode()] == 1 and len(rejects) == 4
    assert exchange.connects == 1


async def test_refused_topic_is_named_and_its_neighbours_are_served(
    exchange: Exchange, kafka_topics: KafkaTopics, start: Start
) -> None:
    exchange.listed["spot"] = [f"S{n}USDT" for n in range(25)] + ["BTCUSDT"]
    exchange.refused["S7USDT"] = "Invalid symbol :[publicTrade.S7USDT]"
    process = start(top=50, refused_retry_s=0.5)
    await process.ready()
    detail = json.loads(process.get("/health/ready")[1])
    assert detail["refused"] == {"bybit:spot:S7USDT": "Invalid symbol :[publicTrade.S7USDT]"}
    assert process.metric('tapeline_refused_topics{market_type="spot"}') == 1
    assert max(map(len, exchange.requests)) == 10
    assert sum(exchange.listeners(f"publicTrade.S{n}USDT") for n in range(25)) == 24
    exchange.refused.clear()
    await wait_subscribed(exchange, "S7USDT")


async def test_unknown_symbol_is_reported_and_the_others_are_subscribed(
    exchange: Exchange, kafka_topics: KafkaTopics, start: Start
) -> None:
    process = start(symbols="BTCUSDT,NOPEUSDT")
    await process.ready()
    assert "NOPEUSDT" in process.log
    assert list(json.loads(process.get("/health/ready")[1])["refused"]) == ["bybit:spot:NOPEUSDT"]
    await exchange.trade("BTCUSDT")
    assert len(await wait_stored(kafka_topics, 1)) == 1


async def test_subscription_without_an_ack_keeps_the_producer_unready_and_reconnecting(
    exchange: Exchange, kafka_topics: KafkaTopics, start: Start
) -> None:
    exchange.stays_silent_on_subscribe = True
    process = start(ack_s=0.3)
    await aeventually(lambda: exchange.connects >= 3, "it reconnects")
    assert process.get("/health/ready")[0] == 503
    assert process.get("/health/live")[0] == 200
    exchange.stays_silent_on_subscribe = False
    await process.ready()


async def test_stalled_connection_is_replaced_although_pongs_arrive(
    exchange: Exchange, kafka_topics: KafkaTopics, start: Start
) -> None:
    await start(data_silence_s=2.0, ping_s=0.2).ready()
    sent = []
    for _ in range(200):
        sent += await exchange.trade("BTCUSDT")
    exchange.drops_frames = True
    sent += await exchange.trade("BTCUSDT", 3)
    await aeventually(lambda: exchange.connects >= 2, "the stalled connection is replaced")
    assert exchange.pings > 2
    assert await wait_stored(kafka_topics, 203) == sent
    assert kafka_topics.read_gaps() == []


async def test_forbidden_handshake_is_tried_slowly_and_overcome(
    exchange: Exchange, kafka_topics: KafkaTopics, start: Start
) -> None:
    exchange.handshake_status = 403
    process = start()
    await aeventually(lambda: "HTTP 403" in process.get("/health/ready")[1], "readiness names the refusal")
    exchange.handshake_status = 101
    await process.ready()


async def test_full_buffer_drops_the_newest_and_reports_one_gap_a_symbol(
    exchange: Exchange, kafka_topics: KafkaTopics, start: Start, new_stack: Callable[..., Any]
) -> None:
    stack = new_stack("kafka")
    await asyncio.to_thread(stack.up)
    own = KafkaTopics(stack.addresses.kafka)
    own.create()
    process = start(
        kafka_bootstrap=own.bootstrap, topic_trades=own.trades, topic_gaps=own.gaps, topic_rejects=own.rejects,
        kafka_queue_messages=50, buffer_trades=100, backfill_timeout_s=20,
    )  # fmt: skip
    await process.ready()
    sent = await exchange.trade("BTCUSDT", 10)
    await wait_stored(own, 10)
    await asyncio.to_thread(stack.stop, "kafka")
    sent += await exchange.trade("BTCUSDT", 500)
    dropped = 'tapeline_trades_dropped_total{market_type="spot"}'
    await aeventually(lambda: process.metric(dropped) > 0, "trades are dropped")
    assert process.get("/health/live")[0] == 200
    await aeventually(lambda: process.get("/health/ready")[0] == 503, "it is not ready without Kafka")
    await asyncio.to_thread(stack.start, "kafka")
    await asyncio.to_thread(stack.wait_ready, "kafka")
    await process.ready()
    await aeventually(lambda: process.metric("tapeline_buffer_records") == 0, "the buffer is empty again")
    sent += await exchange.trade("BTCUSDT", 5)
    kept = await wait_stored(own, 165)
    (gap,) = await gaps(own)
    assert gap.reason == "overflow" and len(kept) == len(set(kept))
    lost = sent[sent.index(gap.from_trade_id) + 1 : sent.index(gap.to_trade_id)]  # type: ignore[arg-type]
    assert set(kept) == set(sent) - set(lost)


async def test_kafka_that_is_away_or_without_topics_keeps_the_producer_live_unready_and_waiting(
    exchange: Exchange, kafka_topics: KafkaTopics, start: Start
) -> None:
    away = start(kafka_bootstrap="127.0.0.1:9")
    await aeventually(lambda: "127.0.0.1:9 was not reachable" in away.get("/health/ready")[1], "Kafka is named")
    assert away.get("/health/live")[0] == 200
    assert await away.end(signal.SIGTERM) == 0
    absent = KafkaTopics(kafka_topics.bootstrap)
    waiting = start(topic_trades=absent.trades, topic_gaps=absent.gaps, topic_rejects=absent.rejects)
    await aeventually(lambda: absent.trades in waiting.get("/health/ready")[1], "the missing topic is named")
    assert exchange.connects == 0
    absent.create()
    await waiting.ready()


async def test_frame_larger_than_any_is_survived_by_connecting_again(
    exchange: Exchange, kafka_topics: KafkaTopics, start: Start
) -> None:
    await start(max_frame_bytes=2**20).ready()
    sent = await exchange.trade("BTCUSDT")
    await wait_stored(kafka_topics, 1)
    await exchange.send("spot", "publicTrade.BTCUSDT", "x" * 2**21)
    await aeventually(lambda: exchange.connects == 2, "it reconnects")
    await wait_subscribed(exchange)
    sent += await exchange.trade("BTCUSDT")
    assert await wait_stored(kafka_topics, 2) == sent


def test_probe_reports_an_unreachable_exchange_by_exit_code_and_one_line() -> None:
    environment = {**os.environ, "PRODUCER_REST_URL": "http://127.0.0.1:9"}
    command = [sys.executable, "-m", "tapeline_producer", "--probe"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("http://127.0.0.1:9/v5/market/time could not be reached")
    assert done.stderr.count("\n") == 1


async def test_probe_succeeds_where_the_exchange_responds(exchange: Exchange) -> None:
    environment = {**os.environ, "PRODUCER_REST_URL": f"http://127.0.0.1:{exchange.port}"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tapeline_producer", "--probe", env=environment, stderr=asyncio.subprocess.DEVNULL
    )
    assert await asyncio.wait_for(process.wait(), 20) == 0


async def test_exchange_that_is_not_there_yet_is_waited_for_with_one_clear_line(
    exchange: Exchange, kafka_topics: KafkaTopics, start: Start
) -> None:
    await exchange.stop()
    process = start()
    await aeventually(lambda: "could not be reached" in process.log, "the log names the trouble")
    assert f"127.0.0.1:{exchange.port}" in process.log
    await exchange.start()
    await process.ready()
    assert process.log.count("could not be reached") == 1

"""The simulator on real sockets: clients receive exactly the trades of the ledger."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support import aeventually, eventually, logged
from tapeline_simulator.app import Simulator
from tapeline_simulator.settings import Settings
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

CAPTURE_FRAMES = 40


class Client:
    """A connection that records its messages."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.replies: list[dict[str, Any]] = []
        self.frames: list[dict[str, Any]] = []
        self.code: int | None = None
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            async for text in self.connection:
                message = json.loads(text)
                (self.frames if "topic" in message else self.replies).append(message)
        except ConnectionClosed:
            pass
        self.code = self.connection.close_code

    async def subscribe(self, *symbols: str) -> None:
        args = [f"publicTrade.{symbol}" for symbol in symbols]
        expected = len(self.replies) + 1
        await self.connection.send(json.dumps({"op": "subscribe", "args": args, "req_id": "r"}))
        await aeventually(lambda: len(self.replies) >= expected, "acknowledgement")
        assert self.replies[-1]["success"], self.replies[-1]

    @property
    def ids(self) -> list[str]:
        return [fields["i"] for frame in self.frames for fields in frame["data"]]

    async def leave(self) -> None:
        await self.connection.close()
        await self._reading


class Running:
    """A started simulator and the ways to talk to it."""

    def __init__(self, port: int, ledger: Path) -> None:
        self.ledger, self._url = ledger, f"ws://127.0.0.1:{port}"
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30)
        self.clients: list[Client] = []

    async def client(self, market_type: str = "spot", **options: Any) -> Client:
        connection = await connect(f"{self._url}/v5/public/{market_type}", proxy=None, **options)
        self.clients.append(Client(connection))
        return self.clients[-1]

    async def status(self) -> dict[str, Any]:
        return dict((await self.http.get("/simulator/status")).json())

    async def recent(self, market_type: str, symbol: str, limit: int = 1000) -> list[dict[str, Any]]:
        parameters = {"category": market_type, "symbol": symbol, "limit": str(limit)}
        response = (await self.http.get("/v5/market/recent-trade", params=parameters)).json()
        return list(response["result"]["list"])

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.ledger.read_bytes().splitlines()]


@contextlib.asynccontextmanager
async def running(ledger: Path, **settings: Any) -> AsyncIterator[Running]:
    async with Simulator(Settings(port=0, ledger=ledger, **settings)) as simulator:
        started = Running(simulator.port, ledger)
        try:
            yield started
        finally:
            for client in started.clients:
                await client.leave()
            await started.http.aclose()


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """Recorded frames of two symbols, 10 ms apart, two trades each."""
    lines = []
    for number in range(CAPTURE_FRAMES):
        symbol = ("AUSDT", "BUSDT")[number % 2]
        fields = {"T": 1_786_310_819_000 + number, "s": symbol, "S": "Sell", "v": "0.10", "p": "1922.50"}
        data = [{**fields, "i": f"id-{number}-{fill}", "BT": False, "seq": number} for fill in range(2)]
        frame = {"topic": f"publicTrade.{symbol}", "type": "snapshot", "ts": 1, "data": data}
        addr = "wss://stream.bybit.com/v5/public/linear"
        lines.append(json.dumps({"recv_ts": 100 + number / 100, "conn": "c", "addr": addr, "frame": frame}))
    path = tmp_path / "frames.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


async def test_client_receives_exactly_what_the_ledger_says_in_its_order(ledger):
    async with running(ledger, rate_per_s=3000) as simulator:
        client = await simulator.client()
        await client.subscribe("BTCUSDT", "ETHUSDT")
        await aeventually(lambda: len(client.ids) > 500, "500 trades")
        await simulator.http.post("/simulator/pause")
        rows = simulator.rows()
        await aeventually(lambda: len(client.ids) == len(rows), "every written trade arrives")
        assert client.ids == [row["trade_id"] for row in rows]
        assert {(row["market_type"], row["symbol"]) for row in rows} == {("spot", "BTCUSDT"), ("spot", "ETHUSDT")}
        assert {row["sockets"] for row in rows} == {1}


async def test_nothing_trades_before_the_first_subscription(ledger):
    async with running(ledger, rate_per_s=3000) as simulator:
        await simulator.client()
        before = await simulator.status()
        assert (before["state"], before["sent"], before["trading"]) == ("waiting", 0, [])
        assert await simulator.recent("spot", "BTCUSDT") == [] and simulator.rows() == []
        assert (await simulator.http.get("/health/ready")).status_code == 200


async def test_the_path_alone_determines_the_market_type(ledger):
    async with running(ledger, rate_per_s=3000) as simulator:
        spot, linear = await simulator.client("spot"), await simulator.client("linear")
        await spot.subscribe("BTCUSDT")
        await linear.subscribe("BTCUSDT")
        await aeventually(lambda: spot.frames and linear.frames, "frames of both")
        assert list(spot.frames[0])[:3] == ["topic", "ts", "type"]
        assert list(linear.frames[0])[:3] == ["topic", "type", "ts"]
        assert "L" in linear.frames[0]["data"][0] and "L" not in spot.frames[0]["data"][0]


async def test_refused_request_leaves_the_socket_and_its_feed_open(ledger):
    async with running(ledger, rate_per_s=3000) as simulator:
        client = await simulator.client("linear")
        await client.subscribe("BTCUSDT")
        for text in ("hello", '{"op":"nope"}', '{"op":"subscribe","args":["publicTrade.btcusdt"]}', '{"op":"ping"}'):
            await client.connection.send(text)
        await aeventually(lambda: len(client.replies) == 5, "four more replies")
        assert [reply["success"] for reply in client.replies] == [True, False, False, False, True]
        so_far = len(client.frames)
        await aeventually(lambda: len(client.frames) > so_far, "the feed goes on")


async def test_client_ping_frame_is_answered(ledger):
    async with running(ledger) as simulator:
        client = await simulator.client()
        await asyncio.wait_for(await client.connection.ping(), 5)


async def test_trades_of_a_time_without_subscribers_are_shown_over_rest(ledger):
    async with running(ledger, rate_per_s=3000) as simulator:
        client = await simulator.client("linear")
        await client.subscribe("BTCUSDT")
        await client.leave()
        await aeventually(
            lambda: sum(row["sockets"] == 0 for row in simulator.rows()) > 50, "trades without subscribers"
        )
        await simulator.http.post("/simulator/pause")
        rows = simulator.rows()[-1000:]
        shown = await simulator.recent("linear", "BTCUSDT")
        assert [trade["execId"] for trade in reversed(shown)] == [row["trade_id"] for row in rows]


async def test_paused_market_stands_still_and_its_sockets_stay(ledger):
    async with running(ledger, rate_per_s=3000) as simulator:
        client = await simulator.client()
        await client.subscribe("BTCUSDT")
        await aeventually(lambda: client.frames, "a frame")
        paused = (await simulator.http.post("/simulator/pause")).json()
        await client.connection.send('{"op":"ping"}')
        await aeventually(lambda: client.replies[-1]["ret_msg"] == "pong", "pong")
        assert await simulator.status() == paused and paused["state"] == "paused"
        await simulator.http.post("/simulator/resume")
        await aeventually(lambda: len(client.ids) > paused["sent"], "new trades after the pause")


async def test_slow_reader_is_dropped_and_does_not_hold_up_the_others(ledger):
    # Exchange and readers share one event loop here: the quick one must have room for what a late turn brings at once.
    async with running(ledger, rate_per_s=20_000, socket_queue_frames=10_000) as simulator:
        slow = await simulator.client(max_queue=1, ping_interval=None)
        slow._reading.cancel()
        await slow.connection.send('{"op":"subscribe","args":["publicTrade.BTCUSDT"]}')
        quick = await simulator.client()
        await quick.subscribe("BTCUSDT")
        dropped = 'tapeline_simulator_dropped_sockets_total{reason="slow"} 1.0'

        async def is_dropped() -> bool:
            return dropped in (await simulator.http.get("/metrics")).text

        await aeventually(is_dropped, "the slow socket is dropped", 120)
        so_far = len(quick.frames)
        await aeventually(lambda: len(quick.frames) > so_far, "the quick one still receives")
        assert quick.code is None
        simulator.clients.remove(slow)
        slow.connection.transport.abort()


async def test_idle_socket_is_cut_off_and_a_pinging_one_is_not(ledger):
    async with running(ledger, idle_close_s=3.0, idle_scan_s=0.1) as simulator:
        idle = await simulator.client(ping_interval=None)
        pinging = await simulator.client(ping_interval=None)

        async def pings_until_the_other_is_gone() -> bool:
            await pinging.connection.send('{"op":"ping"}')
            return idle.code is not None

        await aeventually(pings_until_the_other_is_gone, "the idle socket is cut off")
        assert idle.code == 1006 and pinging.code is None


async def test_stopping_simulator_closes_its_sockets_with_a_reason(ledger):
    async with contextlib.AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(Simulator(Settings(port=0, ledger=ledger)))
        client = await Running(simulator.port, ledger).client()
        await stack.aclose()
        await aeventually(lambda: client.code == 1001, "close code 1001")


async def test_too_many_rest_requests_are_answered_with_403(ledger):
    async with running(ledger, rest_requests=3, rest_ban_s=600) as simulator:
        codes = [(await simulator.http.get("/v5/market/time")).status_code for _ in range(5)]
        assert codes == [200, 200, 200, 403, 403]
        assert (await simulator.status())["state"] == "waiting"


async def test_rest_serves_lists_that_a_producer_chooses_from(ledger):
    async with running(ledger) as simulator:
        market = simulator.http
        listed = (await market.get("/v5/market/instruments-info", params={"category": "spot"})).json()["result"]
        tickers = (await market.get("/v5/market/tickers", params={"category": "spot"})).json()["result"]["list"]
        assert {item["symbol"] for item in listed["list"]} == {item["symbol"] for item in tickers}
        assert max(tickers, key=lambda item: float(item["turnover24h"]))["symbol"] == "BTCUSDT"
        assert (await market.get("/v5/market/nope")).status_code == 404


async def test_replay_sends_the_recording_once_and_ends(ledger, capture):
    recorded = [json.loads(line)["frame"] for line in capture.read_text().splitlines()]
    async with running(ledger, source="replay", capture=capture, speed=10) as simulator:
        client = await simulator.client("linear")
        await client.subscribe("AUSDT")
        assert (await simulator.status())["state"] == "waiting"
        await client.subscribe("BUSDT")
        await aeventually(lambda: len(client.frames) == CAPTURE_FRAMES, "all frames")
        assert [json.dumps(frame) for frame in client.frames] == [json.dumps(frame) for frame in recorded]
        assert (await simulator.status())["state"] == "ended"
        assert [row["trade_id"] for row in simulator.rows()] == client.ids


async def _replayed(ledger: Path, capture: Path, speed: float, trades: int) -> list[str]:
    """Run a replay until it has written so many trades; return what a client got of it."""
    async with running(ledger, source="replay", capture=capture, speed=speed) as simulator:
        client = await simulator.client("linear")
        earlier = len(simulator.rows())
        await client.subscribe("AUSDT", "BUSDT")
        await aeventually(lambda: len(simulator.rows()) >= trades, f"{trades} trades are written")
        await simulator.http.post("/simulator/pause")
        rows = simulator.rows()
        await aeventually(lambda: earlier + len(client.ids) == len(rows), "all that was written arrives")
        return client.ids


async def test_replay_stopped_in_the_middle_goes_on_behind_its_ledger(ledger, capture):
    first = await _replayed(ledger, capture, 0.05, 10)
    second = await _replayed(ledger, capture, 10, 2 * CAPTURE_FRAMES)
    assert 10 <= len(first) < 2 * CAPTURE_FRAMES
    assert first + second == [f"id-{number}-{fill}" for number in range(CAPTURE_FRAMES) for fill in range(2)]


class Process:
    """The simulator as it is run: its own process, logging its port."""

    def __init__(self, ledger: Path, rate_per_s: int) -> None:
        environment = {**os.environ, "SIMULATOR_PORT": "0", "SIMULATOR_LEDGER": str(ledger)}
        environment["SIMULATOR_RATE_PER_S"] = str(rate_per_s)
        command = [sys.executable, "-m", "tapeline_simulator"]
        self.log = ledger.with_suffix(".log").open("w+")
        self.popen = subprocess.Popen(command, env=environment, stdout=self.log, stderr=subprocess.STDOUT)
        self.port = eventually(self._port, "the port is logged")

    def _port(self) -> int | None:
        return next((record["port"] for record in logged(Path(self.log.name)) if "port" in record), None)

    def end(self, number: signal.Signals) -> int:
        self.popen.send_signal(number)
        code = self.popen.wait(10)
        self.log.close()
        return code


async def _listen_and_end(ledger: Path, number: signal.Signals) -> tuple[list[str], int]:
    process = Process(ledger, 5000)
    simulator = Running(process.port, ledger)
    try:
        client = await simulator.client("linear")
        await client.subscribe("BTCUSDT")
        await aeventually(lambda: len(client.ids) > 300, "300 trades")
    finally:
        code = await asyncio.to_thread(process.end, number)
    await aeventually(lambda: client.code is not None, "the connection ends")
    await simulator.http.aclose()
    return client.ids, code


async def test_killed_process_has_written_all_it_sent_and_goes_on_with_new_ids(ledger):
    first, code = await _listen_and_end(ledger, signal.SIGKILL)
    assert code == -signal.SIGKILL
    whole = ledger.read_bytes().rpartition(b"\n")[0].splitlines()
    assert first == [json.loads(line)["trade_id"] for line in whole][: len(first)]
    with ledger.open("ab") as file:
        file.write(b'{"venue":"bybit","market_type":"linear","symbol":"BTC')
    second, code = await _listen_and_end(ledger, signal.SIGTERM)
    rows = [json.loads(line) for line in ledger.read_bytes().splitlines()]
    assert code == 0 and len({row["trade_id"] for row in rows}) == len(rows)
    assert set(first) | set(second) <= {row["trade_id"] for row in rows}
    assert [row["sequence"] for row in rows] == sorted(row["sequence"] for row in rows)


async def test_port_in_use_ends_the_process_with_a_reason(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        environment = {**os.environ, "SIMULATOR_PORT": str(taken.getsockname()[1])}
        environment["SIMULATOR_LEDGER"] = str(tmp_path / "ledger.jsonl")
        command = [sys.executable, "-m", "tapeline_simulator"]
        ended = await asyncio.to_thread(subprocess.run, command, env=environment, capture_output=True, timeout=30)
    assert ended.returncode == 1 and b"fatal error" in ended.stdout

"""A real Elasticsearch with known documents, a real board before it, and a client of its streams."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from elasticsearch import Elasticsearch, helpers
from prometheus_client.parser import text_string_to_metric_families
from support import eventually, logged
from tapeline import names
from tapeline.enums import MarketType
from tapeline.instrument import Instrument
from tapeline.records import candle
from tapeline_local.stack.stack import Stack
from tapeline_spark.elastic import index_templates
from tapeline_trainer.data.elasticsearch import VERDICT_MAPPING
from unit.board import factories
from unit.board.factories import Document

MINUTE_MS = candle.MINUTE_MS
LINEAR, SPOT = (Instrument("bybit", market_type, "BTCUSDT") for market_type in (MarketType.LINEAR, MarketType.SPOT))
ELSEWHERE = Instrument("other", MarketType.SPOT, "BTCUSDT")
# The busiest first; the same symbol in two market types and at two venues, and more than are shown side by side.
INSTRUMENTS = [LINEAR, SPOT, ELSEWHERE, *(Instrument("bybit", MarketType.LINEAR, f"C{n:02}USDT") for n in range(13))]
SPAN_MINUTES = 20


class Filled:
    """An Elasticsearch with known documents.

    Attributes:
        from_ms: start of the first minute with trades; `to_ms`: end of the last one.
        trades: all of them.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack, self.url = stack, stack.addresses.elasticsearch
        self.client = Elasticsearch(self.url, request_timeout=30)
        self.to_ms = time.time_ns() // 1_000_000 // MINUTE_MS * MINUTE_MS
        self.from_ms = self.to_ms - SPAN_MINUTES * MINUTE_MS
        self.trades: list[Document] = []
        self._put_templates()
        self.put_trades(factories.tape(INSTRUMENTS, 6_000, self.from_ms, self.to_ms))
        self._put_rest()

    def _put_templates(self) -> None:
        for name, body in index_templates.templates(0, "200ms").items():
            self.client.indices.put_index_template(name=name, **body)
        self.client.indices.create(index=names.INDEX_MODELS, mappings=VERDICT_MAPPING)

    def put(self, documents: list[tuple[str, str, Document]]) -> None:
        """Write (index, id, document), over what is there."""
        actions = [{"_index": index, "_id": key, "_source": document} for index, key, document in documents]
        helpers.bulk(self.client, actions, refresh=True)

    def put_trades(self, trades: list[Document]) -> None:
        self.trades += trades
        self.put([(names.index_for_trade(one["traded_at"]), trade_key(one), one) for one in trades])

    def put_candles(self, *candles: Document) -> None:
        prefix = names.INDEX_CANDLES_PREFIX
        self.put([(names.monthly_index(prefix, one["@timestamp"]), key(one), one) for one in candles])

    def _put_rest(self) -> None:
        last = self.to_ms - MINUTE_MS
        self.candles = [factories.candle_of(last - n * MINUTE_MS, 200.0 - n, trades=10 + n) for n in range(90)]
        self.put_candles(*self.candles, factories.candle_of(last, 50.0, trades=9_999, market_type="linear"))
        self.put_candles(factories.candle_of(last, 70.0, trades=1, venue="other"))
        self.scores = [factories.score_of(last - n * MINUTE_MS, 10 + n, 6 + n, 4) for n in range(5)]
        self.scores.append(factories.score_of(last, 7, 1, 3, market_type="linear", symbol="C00USDT"))
        self.put([(names.monthly_index(names.INDEX_SCORES_PREFIX, s["@timestamp"]), key(s), s) for s in self.scores])
        self.reconciliation = [
            factories.reconciliation_of(last - n * MINUTE_MS, "complete" if n else "open", 10 + n) for n in range(10)
        ]
        self.put_reconciliation(*self.reconciliation)
        self.gap = factories.gap_of(last - 5 * MINUTE_MS, last - 4 * MINUTE_MS)
        self.put([(names.INDEX_GAPS, "gap", self.gap), (names.INDEX_ALERTS, "alert", factories.alert_of(last))])
        self.put([(names.INDEX_MODELS, f"run-{n}", factories.training_run_of(last + n, f"run-{n}")) for n in range(12)])

    def put_reconciliation(self, *minutes: Document) -> None:
        prefix = names.INDEX_RECONCILIATION_PREFIX
        self.put([(names.monthly_index(prefix, one["@timestamp"]), key(one), one) for one in minutes])

    @property
    def span(self) -> dict[str, int]:
        return {"from": self.from_ms, "to": self.to_ms}


def trade_key(one: Document) -> str:
    return names.identity(one["venue"], one["market_type"], one["symbol"], one["trade_id"])


def key(one: Document) -> str:
    return f"{one['venue']}|{one['market_type']}|{one['symbol']}|{one['@timestamp']}"


class Board:
    """One board process."""

    def __init__(self, elasticsearch: str, log: Path, **settings: object) -> None:
        self.log = log
        given = {
            "ELASTICSEARCH_URL": elasticsearch,
            "PORT": 0,
            "HEALTH_CHECK_S": 0.3,
            "POLL_S": 0.3,
            "SLOW_POLL_S": 0.6,
        }
        given |= {"RESPONSE_TTL_S": 0.01, "LINGER_S": 0.5} | {name.upper(): value for name, value in settings.items()}
        environment = os.environ | {f"BOARD_{name}": str(value) for name, value in given.items()}
        with log.open("wb") as output:
            command = [sys.executable, "-W", "error", "-m", "tapeline_board"]
            self.process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
        self.port = eventually(self._port, "the board listens")
        self.url = f"http://127.0.0.1:{self.port}"
        # A kept connection may be closed by the server in the moment it is used again.
        limits = httpx.Limits(max_keepalive_connections=0)
        self.client = httpx.Client(base_url=self.url, timeout=20.0, limits=limits)
        eventually(self._ready, "the board is ready")

    def _port(self) -> int:
        return next((int(one["port"]) for one in logged(self.log) if one["message"] == "listening"), 0)

    def _ready(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return self.client.get("/health/ready").status_code == 200
        return False

    def get(self, path: str, **query: Any) -> Any:
        """Return a response; retry on 503 and 504, such as a time-out or a starting shard."""

        def respond() -> httpx.Response | None:
            response = self.client.get(f"/api/{path}", params=query)
            return None if response.status_code in (503, 504) else response

        response = eventually(respond, f"/api/{path} responds")
        assert response.status_code == 200, response.text
        return response.json()

    def metric(self, name: str, **labels: str) -> float:
        families = text_string_to_metric_families(self.client.get("/metrics").text)
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=15.0)


class Stream:
    """One client of /api/stream, read by a thread; `events` are (name, content) in the order of their coming."""

    def __init__(self, board: Board, **query: Any) -> None:
        self.events: list[tuple[str, Any]] = []
        # Without authorities: loading them for hundreds of clients takes longer than all the rest.
        self._client = httpx.Client(timeout=httpx.Timeout(20.0, read=60.0), verify=False)
        self._context = self._client.stream("GET", f"{board.url}/api/stream", params=query)
        self.response = self._context.__enter__()
        assert self.response.headers["content-type"].startswith("text/event-stream")
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        name = ""
        with contextlib.suppress(httpx.HTTPError, httpx.StreamError, ValueError, OSError):
            for line in self.response.iter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    self.events.append((name, json.loads(line.removeprefix("data: "))))

    def events_of(self, name: str) -> list[Any]:
        return [content for event, content in self.events if event == name]

    def wait(self, name: str, check: Callable[[Any], bool] = lambda _: True, timeout_s: float = 20.0) -> Any:
        """Return the first event of a name that fits."""
        return eventually(
            lambda: next(([content] for content in self.events_of(name) if check(content)), None),
            f"event {name}",
            timeout_s,
        )[0]

    def has_ended(self) -> bool:
        return not self._thread.is_alive()

    def close(self) -> None:
        """End it; a socket closed under the thread that reads it would stay open until more comes."""
        with contextlib.suppress(OSError):
            self.response.extensions["network_stream"].get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=10.0)
        self.response.close()
        self._client.close()

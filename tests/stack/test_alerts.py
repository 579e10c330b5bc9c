"""Rules on the real stream, before a server that behaves like Telegram: what is planted in the log arrives once."""

import json
import signal
import time
from collections import Counter
from typing import Any

import pytest
import yaml
from confluent_kafka import Producer
from elasticsearch import Elasticsearch
from support import eventually, eventually_nothing
from tapeline import names
from tapeline.records import score
from tapeline.records.gap import Gap
from tapeline.service.connection import ElasticsearchConnection
from tapeline_local.stack.stack import Stack
from tapeline_spark.alerts.model_queries import ModelQueries
from tapeline_spark.elastic.sink import ElasticSink
from unit.notifier.botapi import BotApi
from unit.notifier.factories import telegram

from stack.assertions import read_if_available
from stack.fast import fast_options

RULES = [
    {"name": "move", "kind": "price_move", "window": "5m", "threshold_bp": 195},
    {"name": "silent", "kind": "silent_symbol", "after_s": 400},
    {"name": "gap", "kind": "feed_gap"},
    # None of these has a reason to ring.
    {"name": "far", "kind": "price_move", "window": "5m", "threshold_bp": 300},
    {"name": "burst", "kind": "volume_burst", "ratio": 10},
    {"name": "below", "kind": "model_below_prior"},
    {"name": "expired", "kind": "model_expired"},
]
MINUTE_MS = 60_000
MOVER, SILENT, LOSSY, CALM = "MOVEUSDT", "SILENTUSDT", "HOLEUSDT", "CALMUSDT"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture(scope="module")
def api():
    with BotApi().serving() as running:
        yield running


@pytest.fixture(scope="module")
def stack(api, servers, tmp_path_factory):
    folder = tmp_path_factory.mktemp("alerts")
    (folder / "rules.yaml").write_text(yaml.safe_dump({"rules": RULES}))
    targets = {"targets": [telegram(folder, api.url, group_wait_s=0.2)]}
    (folder / "targets.yaml").write_text(yaml.safe_dump(targets))
    options = fast_options(
        notifier_targets=folder / "targets.yaml",
        extra_env={
            "spark": {"STREAM_RULES": str(folder / "rules.yaml"), "STREAM_CANDLES_SNAPSHOT_INTERVAL_S": "2"},
            "notifier": {"NOTIFIER_RETRY_LEAST_S": "0.1", "NOTIFIER_RETRY_MOST_S": "0.5"},
        },
    )
    parts = ("kafka", "elasticsearch", "spark", "notifier")
    with servers.running_stack(parts, options) as running:
        yield running


@pytest.fixture(scope="module")
def feed(stack):
    return Feed(stack.addresses.kafka)


class Feed:
    """Trades as a producer would write them, at times of the test's choice."""

    def __init__(self, bootstrap: str) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap, "partitioner": names.PARTITIONER})
        self._number = 0

    def trade(self, symbol: str, price: float, at_ms: int) -> None:
        self._number += 1
        fields: dict[str, Any] = {
            "venue": names.VENUE,
            "market_type": "spot",
            "symbol": symbol,
            "trade_id": f"t{self._number}",
            "traded_at": at_ms,
            "price": f"{price:.4f}",
            "quantity": "1.5",
            "quantity_unit": "base",
            "base_quantity": "1.5",
            "side": "Buy",
            "sequence": self._number,
            "frame_index": 0,
            "is_block_trade": False,
            "is_rpi": None,
            "received_at": at_ms,
            "produced_at": now_ms(),
            "source": "stream",
        }
        self._producer.produce(names.TOPIC_TRADES, json.dumps(fields).encode(), symbol)

    def gap(self, gap: Gap) -> None:
        self._producer.produce(names.TOPIC_GAPS, gap.model_dump_json().encode(), gap.symbol)

    def flush(self) -> None:
        assert self._producer.flush(30) == 0


def delivered(api: BotApi) -> Counter[str]:
    """Return how often people read a line of each instrument and rule."""
    lines = [line for text in api.texts for line in text.splitlines()]
    parts = [line.split("  ")[1:3] for line in lines if line.startswith("[")]
    return Counter(f"{instrument} {reason.partition(':')[0]}" for instrument, reason in parts)


def not_as_wanted(api: BotApi, wanted: Counter[str]) -> Counter[str]:
    """Return the lines that are missing, and those that are too many."""
    found = delivered(api)
    return (wanted - found) + (found - wanted)


def written(stack: Stack) -> dict[str, dict[str, Any]]:
    """Return every alert of Elasticsearch by its id."""
    with Elasticsearch(stack.addresses.elasticsearch, max_retries=0, request_timeout=60) as client:
        client.indices.refresh(index=names.INDEX_ALERTS, ignore_unavailable=True)
        found = read_if_available(lambda: client.search(index=names.INDEX_ALERTS, size=100, ignore_unavailable=True))
        return {hit["_id"]: hit["_source"] for hit in found["hits"]["hits"]} if found else {}


def test_a_models_record_over_a_span_is_summed_from_its_minutes(stack):
    """Two models, two symbols; what lies before the span and at its end is not of it."""
    start_ms = 1_925_000_000_000 - 1_925_000_000_000 % 3_600_000
    index = names.monthly_index(names.INDEX_SCORES_PREFIX, start_ms)
    url = stack.addresses.elasticsearch
    client = Elasticsearch(url, request_timeout=60)
    sink = ElasticSink(ElasticsearchConnection(elasticsearch_url=url), 30.0, 100, lambda reason: None)
    models = ModelQueries(sink, "http://127.0.0.1:1")
    client.indices.create(index=index, mappings=score.MAPPING)
    try:
        for minute, symbol, digest, predictions, brier in (
            *((-1, "A", "one", 1000, 900.0), (0, "A", "one", 10, 2.0), (0, "B", "one", 20, 4.5)),
            *((59, "A", "one", 30, 8.0), (59, "A", "two", 5, 1.5), (60, "A", "one", 1000, 900.0)),
        ):
            sums = {"predictions": predictions, "brier_sum": brier, "prior_brier_sum": predictions / 4}
            place = {"venue": "bybit", "symbol": symbol, "model_digest": digest}
            fields = {"@timestamp": start_ms + minute * MINUTE_MS, **place, **sums}
            client.index(index=index, document=fields)
        client.indices.refresh(index=index)
        found = models.score_sums("bybit", start_ms, start_ms + 60 * MINUTE_MS)
        assert found == {"one": (60, 14.5, 15.0), "two": (5, 1.5, 1.25)}
    finally:
        client.indices.delete(index=index)
        client.close()


EXPECTED = Counter(f"bybit:spot:{what}" for what in (f"{MOVER} move", f"{SILENT} silent", f"{LOSSY} gap"))


def test_a_move_a_silence_and_a_gap_arrive_once_over_a_killed_notifier(stack, feed, api):
    api.flood(600)
    end_ms = now_ms()
    for ago in range(10, 0, -1):
        for symbol in (MOVER, SILENT, LOSSY, CALM):
            if symbol != SILENT or ago > 7:
                feed.trade(symbol, 100.0, end_ms - ago * MINUTE_MS)
    lost = Gap(
        venue=names.VENUE,
        market_type="spot",
        symbol=LOSSY,
        reason="restart",
        detected_at=end_ms,
        from_traded_at=end_ms - 3 * MINUTE_MS,
        from_trade_id="a",
        to_traded_at=end_ms - 2 * MINUTE_MS,
        to_trade_id="b",
        backfilled=0,
    )
    feed.gap(lost)
    # The mover last: what is read before it must not make the two others look silent.
    for symbol in (CALM, LOSSY, MOVER):
        feed.trade(symbol, 102.0 if symbol == MOVER else 100.0, now_ms())
    feed.flush()
    eventually(lambda: len(written(stack)) == 3, "three alerts are written down", 90)
    # Not the request: killed before it has noted the refusal, it must take the message for one that may have arrived.
    eventually(lambda: "delivery attempt failed" in stack.log_tail("notifier", 50), "a refusal is noted", 60)
    stack.kill("notifier", signal.SIGKILL)
    api.flood(0)
    stack.wait_ready("notifier")
    eventually_nothing(lambda: not_as_wanted(api, EXPECTED), "each has arrived once", 60)
    move = next(each for each in written(stack).values() if each["rule"] == "move")
    assert (move["symbol"], round(move["value"]), move["unit"]) == (MOVER, 200, "bp")
    assert {each["alert_id"] for each in written(stack).values()} == set(written(stack))


def test_a_killed_stream_raises_nothing_twice_and_goes_on(stack, feed, api):
    stack.kill("spark", signal.SIGKILL)
    stack.kill("notifier", signal.SIGKILL)
    stack.wait_ready("spark")
    stack.wait_ready("notifier")
    # It goes on, and the other way is another finding.
    for symbol, price in ((MOVER, 102.0), (LOSSY, 97.9), (CALM, 100.0)):
        feed.trade(symbol, price, now_ms())
    feed.flush()
    more = EXPECTED + Counter([f"bybit:spot:{LOSSY} move"])
    eventually_nothing(lambda: not_as_wanted(api, more), "only the new one has arrived", 90)
    assert len(written(stack)) == 4
    until = time.monotonic() + 8
    eventually(lambda: time.monotonic() > until, "ticks have passed", 20)
    assert delivered(api) == more
    assert not any("Perhaps sent before" in text for text in api.texts)

"""Reconciliation and scores over the whole stack: nothing happened, a gap, a document deleted, the stream killed."""

import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from elasticsearch import Elasticsearch
from support import eventually
from tapeline import names
from tapeline.enums import MarketType
from tapeline.instrument import instrument_of
from tapeline.records import candle, reconciliation
from tapeline_local.demo import readers
from tapeline_local.stack.stack import Stack

from stack.assertions import wait_for_new_trades
from stack.fast import fast_options
from stack.models import promote_forest
from stack.naive_scores import documents, expected_scores, trades, wrong_scores
from stack.servers import Servers

PARTS = ("kafka", "elasticsearch", "inference", "spark", "simulator", "producer")
MINUTE_MS = candle.MINUTE_MS
RATE_PER_S = 60.0
SYMBOLS = ("BTCUSDT", "ETHUSDT")
# A spot symbol's trades in this time are more than the 60 that REST gives back.
OUTAGE_S = 15.0
EVERY_MARKET = {(market_type, symbol) for market_type in (MarketType.SPOT, MarketType.LINEAR) for symbol in SYMBOLS}
HANDS = ("received", "produced", "logged", "distinct", "indexed")


@pytest.fixture(scope="module")
def stack(servers: Servers) -> Iterator[Stack]:
    options = fast_options(
        rate_per_s=RATE_PER_S,
        symbols=SYMBOLS,
        extra_env={"spark": {"STREAM_RECOUNT_S": "5", "STREAM_CANDLES_SNAPSHOT_INTERVAL_S": "10"}},
    )
    with servers.running_stack(PARTS, options) as running:
        promote_forest(running.state.root / "models")
        yield running


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[Elasticsearch]:
    with Elasticsearch(stack.addresses.elasticsearch, request_timeout=60) as one:
        yield one


def minutes(client: Elasticsearch) -> list[dict[str, Any]]:
    return list(documents(client, f"{names.INDEX_RECONCILIATION_PREFIX}*").values())


def closed(client: Elasticsearch) -> list[dict[str, Any]]:
    return [one for one in minutes(client) if one["state"] != "open"]


def markets(found: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(one["market_type"], one["symbol"]) for one in found}


def two_minutes_are_closed(client: Elasticsearch) -> None:
    """Wait until they are."""

    def are_closed() -> bool:
        found = [one for one in closed(client) if one["distinct"]]
        return len({one["@timestamp"] for one in found}) >= 2 and markets(found) == EVERY_MARKET

    eventually(are_closed, "two minutes are closed", 300)


def test_every_closed_minute_is_complete_when_nothing_happened(stack: Stack, client: Elasticsearch) -> None:
    two_minutes_are_closed(client)

    def uneven() -> list[dict[str, Any]]:
        found = closed(client)
        table = trades(client).groupby(["market_type", "symbol", "minute"]).size()
        counted = [int(table.get((one["market_type"], one["symbol"], one["@timestamp"]), 0)) for one in found]
        counts = [[one[hand] for hand in HANDS] for one in found]
        return [one for one, hands, count in zip(found, counts, counted, strict=True) if hands != [count] * 5]

    # The producer reports its counts every five seconds; a minute may close between two of them.
    eventually(lambda: not uneven(), "all hands counted the same, and as many as are stored", 30)
    found = closed(client)
    assert {(one["state"], one["rejected"], one["gaps"]) for one in found} == {("complete", 0, 0)}
    assert markets(found) == EVERY_MARKET


@pytest.fixture(scope="module")
def outage_ms(stack: Stack) -> int:
    """Kill the producer, then let it be away for longer than REST can fill; return when it went, ms UTC."""
    stack.kill("producer", signal.SIGKILL)
    stack.wait_ready("producer")
    wait_for_new_trades(stack)
    stack.stop("producer")
    stopped, stopped_ms = time.monotonic(), time.time_ns() // 1_000_000
    eventually(lambda: time.monotonic() - stopped > OUTAGE_S, "the outage has lasted", OUTAGE_S + 10)
    stack.start("producer")
    stack.wait_ready("producer")
    wait_for_new_trades(stack)
    return stopped_ms


@pytest.fixture(scope="module")
def killed_minute_ms(stack: Stack, client: Elasticsearch, outage_ms: int) -> int:
    """Kill the stream before the minutes of the outage are closed; return the start of the minute, ms UTC."""
    assert outage_ms
    stack.kill("spark", signal.SIGKILL)
    stack.wait_ready("spark")
    wait_for_new_trades(stack)
    now_ms = int(trades(client)["traded_at"].max())
    return now_ms - now_ms % MINUTE_MS


@pytest.mark.usefixtures("killed_minute_ms")  # the minutes before close while this waits
def test_document_deleted_by_hand_makes_its_minute_incomplete(client: Elasticsearch) -> None:
    two_minutes_are_closed(client)
    victim = trades(client).iloc[0]
    identity = names.identity("bybit", victim["market_type"], victim["symbol"], victim["trade_id"])
    place = reconciliation.identity(
        instrument_of("bybit", victim["market_type"], victim["symbol"]), int(victim["minute"])
    )
    index = names.index_for_trade(int(victim["traded_at"]))
    body = client.get(index=index, id=identity)["_source"]

    def state() -> str:
        return str(documents(client, f"{names.INDEX_RECONCILIATION_PREFIX}*")[place]["state"])

    assert state() == "complete"
    client.delete(index=index, id=identity)
    eventually(lambda: state() == "incomplete", "the minute is incomplete", 120)
    client.create(index=index, id=identity, document=body)
    eventually(lambda: state() == "complete", "the minute is complete again", 120)


def test_killed_producer_and_an_outage_that_nothing_fills_make_a_gap(client: Elasticsearch, outage_ms: int) -> None:
    def are_reported() -> bool:
        gaps = list(documents(client, names.INDEX_GAPS).values())
        touched = touched_by(gaps)
        found = documents(client, f"{names.INDEX_RECONCILIATION_PREFIX}*")
        counted = {identity: one["gaps"] for identity, one in found.items() if one["state"] == "gap"}
        others = {one["state"] for identity, one in found.items() if identity not in touched}
        is_of_the_outage = any(gap["to_traded_at"] >= outage_ms for gap in gaps)
        return is_of_the_outage and counted == touched and others <= {"complete", "open"}

    eventually(are_reported, "the minutes of the gaps, and no others, are gaps", 240)


def touched_by(gaps: list[dict[str, Any]]) -> dict[str, int]:
    """Return how many gaps touch a minute of a symbol, by the id of its reconciliation."""
    touched: dict[str, int] = defaultdict(int)
    for gap in gaps:
        first = gap["from_traded_at"] - gap["from_traded_at"] % MINUTE_MS
        for minute in range(first, gap["to_traded_at"] + 1, MINUTE_MS):
            touched[reconciliation.identity(instrument_of("bybit", gap["market_type"], gap["symbol"]), minute)] += 1
    return dict(touched)


def test_scores_equal_what_the_documents_say_also_over_a_killed_stream(
    client: Elasticsearch, killed_minute_ms: int
) -> None:
    assert expected_scores(client), "the model said nothing"
    eventually(lambda: not wrong_scores(client, killed_minute_ms), "every score is right", 300)
    stored = documents(client, f"{names.INDEX_SCORES_PREFIX}*")
    assert set(stored) <= set(expected_scores(client)), "scores of predictions that do not exist"
    assert sum(one["predictions"] for one in stored.values()) > 1_000
    assert readers.count_documents(client, names.INDEX_REJECTS) == 0

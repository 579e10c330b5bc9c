"""Candles end to end: a recording goes through every real part, Spark is killed twice, and pandas has the last word."""

import json
import random
import signal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from elasticsearch import Elasticsearch
from support import eventually
from tapeline import names
from tapeline.records import candle
from tapeline_local.demo import readers
from tapeline_local.stack.stack import Stack
from tapeline_spark.candles.listener import Candle
from unit.spark.candles import reference

from stack.assertions import read_if_available, reconcile_when_idle, wait_for_new_trades
from stack.fast import fast_options
from stack.servers import Servers

START_MS = 1_790_000_040_000
MINUTES, SPEED = 95, 90.0
# Price, and trades in a minute: one symbol is busy, one mostly quiet, one costs less than a cent.
SYMBOLS = {"BTCUSDT": (83_766.3, 60.0), "LTCUSDT": (83.29, 0.7), "PEPEUSDT": (0.00001234, 12.0)}
# Candles need no predictions, and so no inference.
PARTS = ("kafka", "elasticsearch", "spark", "simulator", "producer")
SNAPSHOT = Path("checkpoint") / "minutes" / "candles.msgpack"


def recording(path: Path) -> None:
    """Write a market of an hour and a half."""
    rng = random.Random(11)
    rows = []
    for symbol, (price, per_minute) in SYMBOLS.items():
        worth = price
        for number in range(round(MINUTES * per_minute)):
            worth *= 1 + rng.gauss(0, 0.0004)
            rows.append(
                {
                    "source": "made",
                    "market": "spot",
                    "symbol": symbol,
                    "ts_ms": START_MS + round(rng.uniform(number, number + 1) * 60_000 / per_minute),
                    "price": float(f"{worth:.6g}"),
                    "qty": round(rng.uniform(0.001, 3), 4),
                    "side": rng.choice(("buy", "sell")),
                    "trade_id": f"{symbol}-{number}",
                }
            )
    pq.write_table(pa.Table.from_pylist(sorted(rows, key=lambda row: row["ts_ms"])), path)


@pytest.fixture
def stack(servers: Servers, tmp_path: Path):
    capture = tmp_path / "market.parquet"
    recording(capture)
    extra = {"spark": {"STREAM_CANDLES_SNAPSHOT_INTERVAL_S": "4", "STREAM_CANDLES_INTERVAL_S": "1"}}
    options = fast_options(capture=capture, speed=SPEED, symbols=tuple(SYMBOLS), extra_env=extra)
    with servers.running_stack(PARTS, options) as running:
        yield running


def found(client: Elasticsearch) -> dict[tuple[str, int], dict]:
    index = f"{names.INDEX_CANDLES_PREFIX}*"
    client.indices.refresh(index=index, allow_no_indices=True)
    hits = client.search(index=index, size=10_000)["hits"]["hits"]
    return {(hit["_source"]["symbol"], hit["_source"]["@timestamp"]): hit["_source"] for hit in hits}


def count(client: Elasticsearch) -> int:
    return read_if_available(lambda: readers.count_documents(client, f"{names.INDEX_CANDLES_PREFIX}*")) or 0


def as_candle(document: dict) -> Candle:
    """Return a document in the form that the oracle compares with."""
    plain = ("open", "high", "low", "close", "vwap", "volume", "notional", "buy_volume", "trades", "late_trades")
    return Candle(
        minute_ms=document["@timestamp"],
        **{name: document[name] for name in (*plain, "missed_trades", "is_quiet", "is_closed")},
        logged=0,
        history=0,
        indicators={name: document[name] for name in candle.INDICATORS},
        windows={name: document[name] for name in candle.windowed_fields()},
    )


def ledger(stack: Stack) -> pd.DataFrame:
    """Return what the exchange sent, in its order."""
    rows = [json.loads(line) for line in (stack.state.root / "ledger.jsonl").read_text().splitlines()]
    frame = pd.DataFrame(rows).sort_values(["traded_at", "sequence", "frame_index"])
    numbers = {"price": frame.price.astype(float), "quantity": frame.quantity.astype(float)}
    return frame.assign(**numbers, is_buy=frame.side == "Buy")


@pytest.mark.timeout(900)
def test_candles_are_those_of_the_exchanges_own_ledger_over_kills_in_the_middle_of_a_minute(stack: Stack) -> None:
    wait_for_new_trades(stack)
    client = Elasticsearch(stack.addresses.elasticsearch, request_timeout=60)
    # A minute lasts less than a second here: every kill is in the middle of one.
    for minutes, loses_snapshot in ((20, False), (45, True)):
        eventually(lambda reached=minutes: count(client) > 3 * reached, f"{minutes} minutes of candles", 120)
        stack.kill("spark", signal.SIGKILL)
        if loses_snapshot:
            (stack.state.root / SNAPSHOT).unlink()
        stack.wait_ready("spark")
    report = reconcile_when_idle(stack, ended=True)
    assert report.is_reconciled(), report.as_dict()

    trades = ledger(stack)
    last = int(trades.traded_at.max()) // 60_000 * 60_000
    wanted = {str(symbol): reference.candles(own, last) for symbol, own in trades.groupby("symbol")}

    def differences() -> dict[object, object]:
        documents, wrong = found(client), {}
        for symbol, rows in wanted.items():
            for minute, row in rows.iterrows():
                document = documents.pop((symbol, int(str(minute))), None)
                is_open_and_quiet = minute == last and not row.trades
                if document is None and not is_open_and_quiet:
                    wrong[symbol, minute] = "no candle"
                elif document and (difference := reference.differences(as_candle(document), row)):
                    wrong[symbol, minute] = difference
        return wrong | documents

    def is_right() -> bool:
        are_closed = all(one["is_closed"] for (_, minute), one in found(client).items() if minute < last)
        return are_closed and not differences()

    try:
        # Candles may be under way yet, and those that are read again are open until the reading has caught up.
        eventually(is_right, "every candle is right", 90)
    except AssertionError:
        assert not differences()
        raise
    documents = found(client)
    client.close()
    assert len(documents) >= 3 * MINUTES - 3
    assert sum(document["is_quiet"] for document in documents.values()) > 30
    assert sum(document["trades"] for document in documents.values()) == len(trades)
    for name in candle.INDICATORS:
        assert sum(document[name] is not None for document in documents.values()) > 3 * (MINUTES - 40), name

"""`make demo` as a process: its exit code and its report."""

import json
import os
import subprocess
import sys
import uuid
from collections import Counter
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch
from tapeline_local import paths
from tapeline_local.demo import readers
from tapeline_local.stack.stack import Stack

from stack.assertions import reconcile_when_idle
from stack.fast import fast_options, running_stack

REPORT = paths.BUILD / "demo-report.json"
FRAMES = "bybit/bybit_v5_publicTrade_frames.jsonl"
PROMISED = {
    *("sent", "received", "produced", "indexed", "lost", "doubled", "rejected", "gaps", "predicted"),
    *("by_state", "delay_ms", "rss_mib", "setup_s", "ready_s", "reconciled", "reconciliation"),
}


@pytest.fixture
def name():
    made = f"test-{uuid.uuid4().hex[:8]}"
    yield made
    Stack(paths.STATES / made).remove()


def run_demo(name: str, **choices: str) -> dict:
    env = {**os.environ, "NAME": name, "FAST_JIT": "1", "TRAINER_TREES": "20", "TRAINER_RESAMPLES": "100", **choices}
    command = [sys.executable, "-m", "tapeline_local.demo"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=800, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    return json.loads(REPORT.read_text())


@pytest.mark.timeout(1700)
def test_a_demo_is_reconciled_and_a_second_one_continues_from_its_state(name):
    first = run_demo(name, DEMO_SECONDS="20", DEMO_PREDICTED="500", RATE="150", TRAIN_AFTER="3000")
    assert set(first) >= PROMISED
    assert first["sent"] == first["received"] == first["produced"] == first["indexed"] > 3000
    assert first["predicted"] > 0 and first["by_model"]
    enough = str(first["predicted"] + 1)
    second = run_demo(name, DEMO_SECONDS="5", DEMO_PREDICTED=enough, RATE="120", TRAIN_AFTER="1000000")
    assert second["sent"] == second["indexed"] > first["sent"]
    assert second["predicted"] > first["predicted"]


@pytest.mark.captures
def test_recorded_frames_are_indexed_completely_with_their_digits_and_order():
    captures = os.environ.get("CAPTURES")
    if not captures:
        pytest.skip("CAPTURES names no folder of recorded traffic")
    capture = Path(captures, FRAMES).resolve()
    options = fast_options(capture=capture, speed=4.0)
    parts = ("kafka", "elasticsearch", "spark", "simulator", "producer")
    with running_stack(parts, options) as stack:
        assert reconcile_when_idle(stack, ended=True).is_reconciled()
        with Elasticsearch(stack.addresses.elasticsearch, request_timeout=60) as client:
            stored = list(readers.read_trades(client))
    recorded = list(read_capture(capture))
    assert len(recorded) == len(stored) == 347
    digits = {d.identity: (d.price, d.quantity, d.side) for d in stored}
    assert digits == {identity: (price, quantity, side) for _, identity, price, quantity, side in recorded}
    for market in {market for market, *_ in recorded}:
        own = [d for d in stored if f"{d.instrument.market_type}|{d.instrument.symbol}" == market]
        ours = sorted(own, key=lambda d: d.order)
        assert [d.identity for d in ours] == [identity for m, identity, *_ in recorded if m == market]
    assert Counter(market.split("|")[0] for market, *_ in recorded).keys() == {"spot", "linear"}


def read_capture(path: Path):
    for line in path.read_text().splitlines():
        row = json.loads(line)
        market_type = row["addr"].rsplit("/", 1)[1]
        for trade in row["frame"]["data"]:
            market = f"{market_type}|{trade['s']}"
            yield market, f"bybit|{market}|{trade['i']}", trade["p"], trade["v"], trade["S"]


def test_a_demo_with_an_unreachable_exchange_fails_at_once_and_names_the_way_out(name):
    env = {**os.environ, "NAME": name, "EXCHANGE": "bybit", "PRODUCER_REST_URL": "http://127.0.0.1:9"}
    command = [sys.executable, "-m", "tapeline_local.demo"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "cannot be reached" in done.stdout and "make demo" in done.stdout
    assert not (paths.STATES / name / "logs").exists()

"""`make demo` as a process: its exit code and its report."""

import json
import os
import subprocess
import sys
import uuid

import pytest
from tapeline_local import paths
from tapeline_local.stack.stack import Stack

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


def test_a_demo_with_an_unreachable_exchange_fails_at_once_and_names_the_way_out(name):
    env = {**os.environ, "NAME": name, "EXCHANGE": "bybit", "PRODUCER_REST_URL": "http://127.0.0.1:9"}
    command = [sys.executable, "-m", "tapeline_local.demo"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "cannot be reached" in done.stdout and "make demo" in done.stdout
    assert not (paths.STATES / name / "logs").exists()

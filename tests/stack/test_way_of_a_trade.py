"""The whole stack: parts are killed one after the other, then the ledger is reconciled with the documents."""

import signal
import time

import pytest
from elasticsearch import Elasticsearch
from support import eventually
from tapeline_local.stack.options import PARTS

from stack.assertions import count_states_between, reconcile_when_idle, wait_for_new_trades
from stack.fast import fast_options
from stack.models import promote_prior

RATE_PER_S = 80.0
OUTAGE_S = 10.0


@pytest.fixture(scope="module")
def stack(servers):
    options = fast_options(rate_per_s=RATE_PER_S)
    with servers.running_stack(PARTS, options) as running:
        promote_prior(running.state.root / "models")
        yield running


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def test_trades_without_inference_are_stored_with_the_reason_for_no_prediction(stack):
    wait_for_new_trades(stack)
    stack.stop("inference")
    start = now_ms() + 3_000  # batches that were under way when it stopped
    eventually(lambda: now_ms() > start + OUTAGE_S * 1000, "the outage has lasted", OUTAGE_S + 30)
    stop = now_ms()
    stack.start("inference")
    stack.wait_ready("inference")
    wait_for_new_trades(stack)
    client = Elasticsearch(stack.addresses.elasticsearch, request_timeout=60)
    states = count_states_between(client, start, stop)
    assert states.get("model_unavailable", 0) > 100
    assert set(states) <= {"model_unavailable", "warming_up", "late"}
    eventually(lambda: "ok" in count_states_between(client, stop, now_ms()), "predictions are back", 30)
    client.close()


@pytest.mark.parametrize("part", ["spark", "producer", "kafka", "elasticsearch"])
def test_trades_continue_after_a_part_is_killed_and_restarted(stack, servers, part):
    of_the_part = servers.stack(part) if part in stack.options.existing else stack
    of_the_part.kill(part, signal.SIGKILL)
    of_the_part.wait_ready(part)
    wait_for_new_trades(stack)


def test_every_trade_is_indexed_once_or_inside_a_gap_after_all_kills(stack):
    report = reconcile_when_idle(stack)
    assert report.is_reconciled(), report.as_dict()
    assert report.sent > 1000
    assert report.indexed + report.covered == report.sent

"""The whole stack with every real part, the parts killed one after the other, and the books closed."""

import signal
import time
import uuid

import pytest
from elasticsearch import Elasticsearch
from support import eventually
from tapeline_local import paths
from tapeline_local.stack.options import StackOptions
from tapeline_local.stack.stack import Stack

from stack.closing import close_books, flows_again, states_between
from stack.models import promote_prior

RATE_PER_S = 80.0
OUTAGE_S = 20.0


@pytest.fixture(scope="module")
def stack():
    options = StackOptions(rate_per_s=RATE_PER_S, fast_jit=True)
    running = Stack(paths.STATES / f"test-{uuid.uuid4().hex[:8]}", options=options)
    try:
        running.up()
        promote_prior(running.state.root / "models")
        yield running
    finally:
        running.remove()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def test_without_inference_trades_are_stored_without_a_number_and_say_why(stack):
    flows_again(stack)
    stack.stop("inference")
    start = now_ms() + 3_000  # batches that were under way when it stopped
    eventually(lambda: now_ms() > start + OUTAGE_S * 1000, "the outage has lasted", OUTAGE_S + 30)
    stop = now_ms()
    stack.start("inference")
    stack.wait_ready("inference")
    flows_again(stack)
    client = Elasticsearch(stack.addresses.elasticsearch, request_timeout=60)
    states = states_between(client, start, stop)
    assert states.get("model_unavailable", 0) > 100
    assert set(states) <= {"model_unavailable", "warming_up", "late"}
    eventually(lambda: "ok" in states_between(client, stop, now_ms()), "predictions are back", 30)
    client.close()


@pytest.mark.parametrize("part", ["spark", "producer", "kafka", "elasticsearch"])
def test_a_killed_part_is_started_again_and_trades_flow_on(stack, part):
    stack.kill(part, signal.SIGKILL)
    stack.wait_ready(part)
    flows_again(stack)


def test_after_all_that_every_trade_is_there_once_or_inside_an_honest_gap(stack):
    books = close_books(stack)
    assert books.balanced(), books.as_dict()
    assert books.sent > 1000
    assert books.indexed + books.covered == books.sent

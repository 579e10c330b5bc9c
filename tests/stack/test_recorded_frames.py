"""Frames as Bybit sent them, through the whole stack: every trade once, with its digits, in its order."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch
from tapeline_local.demo import readers

from stack.assertions import reconcile_when_idle
from stack.fast import fast_options

FRAMES = "bybit/bybit_v5_publicTrade_frames.jsonl"


@pytest.mark.captures
def test_recorded_frames_are_indexed_completely_with_their_digits_and_order(servers):
    captures = os.environ.get("CAPTURES")
    if not captures:
        pytest.skip("CAPTURES names no folder of recorded traffic")
    capture = Path(captures, FRAMES).resolve()
    options = fast_options(capture=capture, speed=4.0)
    parts = ("kafka", "elasticsearch", "spark", "simulator", "producer")
    with servers.running_stack(parts, options) as stack:
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

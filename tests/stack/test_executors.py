"""Execution in executors, end to end: trades reconciled over a kill, and numbers that scikit-learn gives too."""

import signal
from collections import defaultdict

import numpy as np
import pytest
from elasticsearch import Elasticsearch
from support import eventually
from tapeline.enums import PredictionState
from tapeline.model import features
from tapeline_local.demo import readers

from stack.assertions import count_indexed, reconcile_when_idle, wait_for_new_trades
from stack.fast import fast_options
from stack.models import promote_forest

RATE_PER_S = 120.0
PARTS = ("kafka", "elasticsearch", "inference", "spark", "simulator", "producer")


@pytest.fixture(scope="module")
def stack(servers):
    extra = {"spark": {"STREAM_EXECUTION": "executors"}}
    options = fast_options(rate_per_s=RATE_PER_S, extra_env=extra)
    with servers.running_stack(PARTS, options) as running:
        yield running


def recomputed(documents: list[readers.IndexedTrade], model) -> dict[str, float]:
    """Return what scikit-learn says of each trade that has enough past, by id, from the documents alone."""
    markets = defaultdict(list)
    for document in documents:
        markets[document.instrument].append(document)
    answers = {}
    for market in markets.values():
        market.sort(key=lambda document: document.order)
        start = np.zeros(len(market), dtype=np.int64)
        columns = features.TradeColumns(
            np.array([document.order[0] for document in market], dtype=np.int64),
            np.array([float(document.price) for document in market]),
            np.array([float(document.quantity) for document in market]),
            np.array([document.side == "Buy" for document in market]),
            start,
        )
        matrix, warm = features.compute(columns, np.arange(len(market)))
        probability = model.predict_proba(matrix.astype(np.float32))[:, 1]
        answers |= {d.identity: p for d, p, w in zip(market, probability, warm, strict=True) if w}
    return answers


@pytest.mark.timeout(900)
def test_partitions_carried_in_executors_survive_a_kill_and_predict_what_scikit_learn_predicts(stack):
    model = promote_forest(stack.state.root / "models")
    wait_for_new_trades(stack)
    before = count_indexed(stack)
    eventually(lambda: count_indexed(stack) > before + 1_500, "lookbacks are full", 120)
    stack.kill("spark", signal.SIGKILL)
    stack.wait_ready("spark")
    wait_for_new_trades(stack)

    report = reconcile_when_idle(stack)

    assert report.is_reconciled(), report.as_dict()
    assert report.indexed == report.sent > 2_000
    client = Elasticsearch(stack.addresses.elasticsearch, request_timeout=60)
    documents = list(readers.read_trades(client))
    client.close()
    scored = [document for document in documents if document.state == PredictionState.OK]
    expected = recomputed(documents, model)
    assert len(scored) > 1_500
    assert len({document.probability for document in scored}) > 100
    wrong = [d for d in scored if d.probability != expected[d.identity]]
    assert not wrong, f"{len(wrong)} of {len(scored)}: {wrong[:3]}"

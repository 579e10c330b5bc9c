"""Assertions and waits on a running stack: reconciliation, new trades, document counts."""

import time
from collections.abc import Callable
from typing import TypeVar

import httpx
from elasticsearch import ApiError, Elasticsearch, TransportError
from support import eventually
from tapeline import names
from tapeline_local.demo import readers
from tapeline_local.demo.reconcile import ReconciliationReport, reconcile
from tapeline_local.demo.stats import StatsCollector, StatsSnapshot
from tapeline_local.stack.stack import Stack

T = TypeVar("T")
# Longer than a producer holds trades back behind a gap.
IDLE_S = 7.0


def reconcile_when_idle(stack: Stack, timeout_s: float = 180.0, ended: bool = False) -> ReconciliationReport:
    """Reconcile the ledger with the documents once the pipeline is idle.

    Args:
        stack: running, with the simulator.
        timeout_s: for the pipeline to become idle.
        ended: wait for the end of a replay, instead of pausing the exchange.
    """
    collector = StatsCollector(stack.addresses, received_before=0, with_simulator=True)
    try:
        if ended:
            eventually(
                lambda: (collector.exchange_status() or {}).get("state") == "ended", "the replay has ended", timeout_s
            )
        else:
            eventually(lambda: _try_pause(collector), "the exchange is paused", 60)
        _wait_idle(collector, timeout_s)
        sent = readers.read_ledger(stack.state.root / "ledger.jsonl")
        return reconcile(sent, readers.read_trades(collector.elastic), readers.read_gaps(collector.elastic))
    finally:
        collector.close()


def _try_pause(collector: StatsCollector) -> bool:
    try:
        collector.pause_exchange()
    except httpx.TransportError:
        return False
    return True


def _wait_idle(collector: StatsCollector, timeout_s: float) -> None:
    since: dict[str, object] = {"stats": None, "when": time.monotonic()}

    def is_idle() -> bool:
        stats: StatsSnapshot = collector.collect()
        now = (stats.sent, stats.produced, stats.indexed, stats.gaps)
        if now != since["stats"]:
            since.update(stats=now, when=time.monotonic())
        is_indexed = stats.produced is not None and stats.produced == stats.indexed
        return is_indexed and time.monotonic() - float(str(since["when"])) > IDLE_S

    eventually(is_idle, "every produced trade is searchable and the pipeline is idle", timeout_s)


def read_if_available(read: Callable[[], T]) -> T | None:
    """Return the result of `read`, None on 503: the shard of a new index has not started."""
    try:
        return read()
    except ApiError as error:
        assert error.status_code == 503, error
        return None


def count_indexed(stack: Stack) -> int:
    """Return the number of searchable trades; waits while Elasticsearch is unavailable."""
    with Elasticsearch(stack.addresses.elasticsearch, request_timeout=10, max_retries=0) as client:

        def counted() -> list[int]:
            try:
                found = read_if_available(lambda: readers.count_documents(client, f"{names.INDEX_TRADES_PREFIX}*"))
            except TransportError:
                return []
            return [] if found is None else [found]

        return eventually(counted, "the trades are counted", 120)[0]


def wait_for_new_trades(stack: Stack) -> None:
    """Wait until 100 more trades are searchable."""
    before = count_indexed(stack)
    eventually(lambda: count_indexed(stack) > before + 100, "trades become searchable again", 120)


def count_states_between(client: Elasticsearch, start_ms: int, stop_ms: int) -> dict[str, int]:
    """Return the number of documents indexed in a time range, by prediction state."""
    client.indices.refresh(index="tapeline-trades-*")
    answer = client.search(
        index="tapeline-trades-*",
        size=0,
        query={"range": {"indexed_at": {"gte": start_ms, "lt": stop_ms}}},
        aggs={"states": {"terms": {"field": "prediction_state"}}},
    )
    return {bucket["key"]: bucket["doc_count"] for bucket in answer["aggregations"]["states"]["buckets"]}

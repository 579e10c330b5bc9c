"""Closing the books of a running stack, for tests."""

import time
from collections.abc import Callable
from typing import TypeVar

import httpx
from elasticsearch import ApiError, Elasticsearch, TransportError
from support import eventually
from tapeline import names
from tapeline_local.demo import readers
from tapeline_local.demo.reconcile import Books, reconcile
from tapeline_local.demo.stats import Figures, Gatherer
from tapeline_local.stack.stack import Stack

T = TypeVar("T")
# Longer than a producer holds trades back behind a hole.
STILL_S = 7.0


def close_books(stack: Stack, timeout_s: float = 180.0, ended: bool = False) -> Books:
    """Compare the ledger with the documents once nothing moves any more.

    Args:
        stack: running, with the simulator.
        timeout_s: how long that may take.
        ended: let a replay run to its end, instead of pausing the exchange now.
    """
    gatherer = Gatherer(stack.addresses, received_before=0, with_simulator=True)
    try:
        if ended:
            eventually(lambda: (gatherer.exchange() or {}).get("state") == "ended", "the replay has ended", timeout_s)
        else:
            eventually(lambda: _is_paused(gatherer), "the exchange is paused", 60)
        _wait_still(gatherer, timeout_s)
        sent = readers.read_ledger(stack.state.root / "ledger.jsonl")
        return reconcile(sent, readers.read_trades(gatherer.elastic), readers.read_gaps(gatherer.elastic))
    finally:
        gatherer.close()


def _is_paused(gatherer: Gatherer) -> bool:
    try:
        gatherer.pause_exchange()
    except httpx.TransportError:
        return False
    return True


def _wait_still(gatherer: Gatherer, timeout_s: float) -> None:
    since: dict[str, object] = {"figures": None, "when": time.monotonic()}

    def is_still() -> bool:
        figures: Figures = gatherer.look()
        now = (figures.sent, figures.produced, figures.indexed, figures.gaps)
        if now != since["figures"]:
            since.update(figures=now, when=time.monotonic())
        is_told = figures.produced is not None and figures.produced == figures.indexed
        return is_told and time.monotonic() - float(str(since["when"])) > STILL_S

    eventually(is_still, "every produced trade is searchable and nothing moves", timeout_s)


def unless_made(read: Callable[[], T]) -> T | None:
    """Return what is read, None while an index of it is just being made: until its shard has started it answers 503."""
    try:
        return read()
    except ApiError as error:
        assert error.status_code == 503, error
        return None


def indexed(stack: Stack) -> int:
    """Return the number of trades that can be searched, waiting for an Elasticsearch that says one."""
    with Elasticsearch(stack.addresses.elasticsearch, request_timeout=10, max_retries=0) as client:

        def counted() -> list[int]:
            try:
                found = unless_made(lambda: readers.count(client, f"{names.INDEX_TRADES_PREFIX}*"))
            except TransportError:
                return []
            return [] if found is None else [found]

        return eventually(counted, "the trades are counted", 120)[0]


def flows_again(stack: Stack) -> None:
    """Wait until another hundred trades have become searchable."""
    before = indexed(stack)
    eventually(lambda: indexed(stack) > before + 100, "trades become searchable again", 120)


def states_between(client: Elasticsearch, start_ms: int, stop_ms: int) -> dict[str, int]:
    """Return the documents indexed in a span of time, by prediction state."""
    client.indices.refresh(index="tapeline-trades-*")
    answer = client.search(
        index="tapeline-trades-*",
        size=0,
        query={"range": {"indexed_at": {"gte": start_ms, "lt": stop_ms}}},
        aggs={"states": {"terms": {"field": "prediction_state"}}},
    )
    return {bucket["key"]: bucket["doc_count"] for bucket in answer["aggregations"]["states"]["buckets"]}

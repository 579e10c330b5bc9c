"""Fixtures of the board's page: a Chromium, and a board whose Elasticsearch is full of documents.

A module that takes them has a fixture `stack` of its own, made by `running_board`. conftest.py hands them to all.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest
from playwright.sync_api import Browser
from tapeline_local.setup import frontend as built
from tapeline_local.stack.options import StackOptions
from tapeline_local.stack.stack import Stack

from stack import made_market
from stack.made_market import MINUTE_MS, MadeMarket, Writer
from stack.models import promote_prior
from stack.watching import chromium

GAP_MINUTES_AGO = 31
PARTS = ("elasticsearch", "inference", "board")


def running_board(start: Callable[..., AbstractContextManager[Stack]], options: StackOptions) -> Iterator[Stack]:
    """Yield a running board, started by `running_stack` or by that of the shared servers."""
    if not built.is_built():
        pytest.skip("the page is not built: run `make board`")
    with start(PARTS, options) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def market_minutes() -> int:
    """How many minutes of trades there are; a module may have a fixture of its own."""
    return 75


@pytest.fixture(scope="module")
def market(stack: Stack, market_minutes: int) -> MadeMarket:
    """All kinds of documents of the last minutes, one gap in the feed of BTCUSDT among them."""
    promote_prior(stack.state.root / "models")
    writer, market = Writer(stack.addresses.elasticsearch), MadeMarket()
    writer.templates()
    now_ms = time.time_ns() // 1_000_000
    begun = now_ms // MINUTE_MS * MINUTE_MS - market_minutes * MINUTE_MS
    gap_ms = now_ms // MINUTE_MS * MINUTE_MS - GAP_MINUTES_AGO * MINUTE_MS
    lost = range(gap_ms, gap_ms + 3 * MINUTE_MS)
    trades = [
        one
        for one in market.between(begun, now_ms)
        if not (one["symbol"] == "BTCUSDT" and one["market_type"] == "spot" and one["traded_at"] in lost)
    ]
    candles = [
        document
        for document in made_market.candle_documents(trades, begun, now_ms, now_ms)
        if not (document[1] or "").startswith("bybit|spot|BTCUSDT") or document[2]["@timestamp"] not in lost
    ]
    for documents in (
        made_market.trade_documents(trades),
        candles,
        made_market.score_documents(trades, now_ms),
        made_market.reconciliation_documents(trades, now_ms),
        [made_market.gap_document(gap_ms, gap_ms + 3 * MINUTE_MS - 1), made_market.alert_document(now_ms - 400_000)],
        [made_market.verdict_document(now_ms - hours * 3_600_000, hours == 1) for hours in (1, 2)],
    ):
        writer.write(documents)
    writer.client.close()
    return market


@pytest.fixture(scope="module")
def url(stack: Stack, market: MadeMarket) -> str:
    return stack.addresses.board

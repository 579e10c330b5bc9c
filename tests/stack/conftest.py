"""Real servers for tests: one Kafka and one Elasticsearch a run, started on first use.

Take `kafka_bootstrap` or `elasticsearch_url`, and random names for topics and indices. A test that
stops or kills servers starts its own stack: `new_state` gives it a folder.
"""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tapeline_local import paths
from tapeline_local.stack.stack import Stack

from stack.board_with_market import browser, market, url
from stack.fast import fast_options

__all__ = ["browser", "market", "url"]

# Modules run two at a time, each on one worker; the longest first, so that none is left over to run alone at the end.
LONGEST_FIRST = (
    "test_demo",
    "test_reconciled_minutes",
    "test_stack",
    "test_board_page",
    "test_way_of_a_trade",
    "test_access",
    "test_candles",
    "test_two_venues",
    "test_alerts",
    "test_board",
    "test_executors",
    "test_producers",
    "test_gate",
)
FAST = fast_options()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the modules that take longest first; the order within a module stays."""
    place = {name: number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))


def _state() -> Path:
    # Not pytest's own temporary folder: Elasticsearch runs as another user when we are root, and that is closed.
    return paths.STATES / f"test-{uuid.uuid4().hex[:8]}"


def _running(parts: tuple[str, ...]) -> Iterator[Stack]:
    stack = Stack(_state(), parts, FAST)
    try:
        stack.up()
        yield stack
    finally:
        stack.remove()


@pytest.fixture(scope="session")
def kafka_stack() -> Iterator[Stack]:
    """One Kafka for the whole run."""
    yield from _running(("kafka",))


@pytest.fixture(scope="session")
def elasticsearch_stack() -> Iterator[Stack]:
    """One Elasticsearch for the whole run."""
    yield from _running(("elasticsearch",))


@pytest.fixture(scope="session")
def kafka_bootstrap(kafka_stack: Stack) -> str:
    """host:port of a real broker; create topics of your own."""
    return kafka_stack.addresses.kafka


@pytest.fixture(scope="session")
def elasticsearch_url(elasticsearch_stack: Stack) -> str:
    """URL of a real node; only indices named tapeline-* are created by writing."""
    return elasticsearch_stack.addresses.elasticsearch


@pytest.fixture
def new_stack() -> Iterator[Callable[..., Stack]]:
    """Makes stacks of a test's own, not started; all are stopped and removed at its end."""
    made: list[Stack] = []

    def make(*parts: str, state: Path | None = None) -> Stack:
        made.append(Stack(state or _state(), parts, FAST))
        return made[-1]

    yield make
    for stack in made:
        stack.remove()

"""Real servers for tests: one Kafka and one Elasticsearch a run, started on first use.

Take `kafka_bootstrap` or `elasticsearch_url`, and random names for topics and indices. A test that
stops or kills servers starts its own stack: `new_state` gives it a folder.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tapeline_local.stack.stack import Stack

from stack.board_with_market import browser, market, url
from stack.fast import fast_options, new_state, running_stack

__all__ = ["browser", "market", "url"]

# Modules run side by side, each on one worker; the longest first, so that none is left over to run alone at the end.
# Those that take the servers of the whole run go to one worker, so that these start once.
SHARED = "shared servers"
LONGEST_FIRST = (
    "test_demo",
    "test_reconciled_minutes",
    SHARED,
    "test_way_of_a_trade",
    "test_access",
    "test_stack",
    "test_two_venues",
    "test_board",
    "test_producers",
    "test_candles",
    "test_alerts",
    "test_board_page",
    "test_executors",
)
SHARED_SERVERS = {"kafka_stack", "elasticsearch_stack"}
FAST = fast_options()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests share a worker, and put those that take longest first; the order within a module stays.

    First of all hooks: xdist's own reads the marks.
    """
    sharing = {item.path for item in items if SHARED_SERVERS & set(getattr(item, "fixturenames", ()))}
    group = {item.path: SHARED if item.path in sharing else item.path.stem for item in items}
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group[item.path]))
    place = {name: number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: place.get(group[item.path], len(place)))


@pytest.fixture(scope="session")
def kafka_stack() -> Iterator[Stack]:
    """One Kafka for the whole run."""
    with running_stack(("kafka",), FAST) as running:
        yield running


@pytest.fixture(scope="session")
def elasticsearch_stack() -> Iterator[Stack]:
    """One Elasticsearch for the whole run."""
    with running_stack(("elasticsearch",), FAST) as running:
        yield running


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
        made.append(Stack(state or new_state(), parts, FAST))
        return made[-1]

    yield make
    for stack in made:
        stack.remove()

"""Real servers for tests: one Kafka and one Elasticsearch a run, started on first use.

Take `kafka_bootstrap` or `elasticsearch_url`, and random names for topics and indices. A test that
stops or kills servers starts its own stack: `new_state` gives it a folder.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tapeline_local.stack.stack import Stack
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from stack.board_with_market import browser, market, url
from stack.fast import fast_options, new_state, running_stack

__all__ = ["browser", "market", "url"]

SHARED = "shared servers"
# What takes `kafka_bootstrap` or `elasticsearch_url` goes to one worker, so that these servers start once.
SHARING = (
    *("test_candle_runner", "test_dashboards", "test_notifier", "test_producer", "test_reconciliation"),
    *("test_producer_counts", "test_submitted", "test_trainer"),
)
# Every other module is a group of its own. The longest first, so that none is left over to run alone at the end.
LONGEST_FIRST = (
    "test_demo",
    "test_reconciled_minutes",
    SHARED,
    "test_way_of_a_trade",
    "test_access",
    "test_two_venues",
    "test_board",
    "test_producers",
    "test_candles",
    "test_alerts",
    "test_board_page",
    "test_executors",
    "test_stack",
)
SHARED_SERVERS = {"kafka_stack", "elasticsearch_stack"}
FAST = fast_options()


def group_of(path: str) -> str:
    """Return the group of a module: its tests run in one worker, one after the other."""
    return SHARED if Path(path).stem in SHARING else Path(path).stem


class GroupScheduling(LoadScopeScheduling):
    """Gives a worker one group after the other. xdist's own groups by mark do not work with this pytest."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid.partition("::")[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> GroupScheduling:
    """Let a module's tests run in one worker."""
    return GroupScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the groups that take longest first; the order within a module stays."""
    for item in items:
        if SHARED_SERVERS & set(getattr(item, "fixturenames", ())) and group_of(item.path.name) != SHARED:
            raise pytest.UsageError(f"{item.path.stem} takes the servers of the whole run: name it in SHARING")
    place = {name: number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: place.get(group_of(item.path.name), len(place)))


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

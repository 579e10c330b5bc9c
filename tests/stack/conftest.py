"""Real servers for tests: one Kafka and one Elasticsearch a worker, started on first use.

Take `kafka_bootstrap` or `elasticsearch_url` and random names for topics and indices, or a stack of your own beside
these servers: `servers.running_stack`. A module that stops servers, or needs its own settings of them, starts its own
with `running_stack`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tapeline_local.stack.stack import Stack

from stack.board_with_market import browser, market, market_minutes, url
from stack.fast import fast_options, new_state
from stack.servers import Servers

__all__ = ["browser", "market", "market_minutes", "url"]

# First what takes no servers of the worker, which idle from their first use to the end of the run. Then what lasts
# longest, so that none of it is left over to run alone at the end.
ORDER = (
    *("test_demo", "test_access", "test_producers", "test_stack", "test_gate", "test_inference", "test_simulator"),
    *("test_reconciled_minutes", "test_board", "test_two_venues", "test_way_of_a_trade", "test_candles"),
    *("test_producer", "test_board_page", "test_executors", "test_alerts", "test_recorded_frames"),
    *("test_candle_runner", "test_trainer", "test_notifier", "test_dashboards", "test_submitted"),
)
FAST = fast_options()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the modules; the order within a module stays."""
    place = {name: number for number, name in enumerate(ORDER)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Kafka and Elasticsearch of this worker; `servers.running_stack` starts the other parts of a stack beside them."""
    made = Servers()
    yield made
    made.remove()


@pytest.fixture(scope="session")
def kafka_bootstrap(servers: Servers) -> str:
    """host:port of a real broker; create topics of your own."""
    return servers.stack("kafka").addresses.kafka


@pytest.fixture(scope="session")
def elasticsearch_url(servers: Servers) -> str:
    """URL of a real node; only indices named tapeline-* are created by writing."""
    return servers.stack("elasticsearch").addresses.elasticsearch


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

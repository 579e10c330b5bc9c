import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from types import SimpleNamespace

import pytest
from support import aeventually
from tapeline.enums import MarketType
from tapeline.instrument import Instrument
from tapeline_producer.coordinator import SubscriptionCoordinator
from tapeline_producer.exchange.symbol_selection import ListedInstrument, SymbolSelection
from tapeline_producer.gaps.gap_detector import SequenceTrackers
from tapeline_producer.gaps.log_tail import LogTail
from tapeline_producer.metrics import Metrics
from tapeline_producer.readiness import Readiness
from tapeline_producer.sharding.shards import ShardMap, shard_of

COUNT = 4
NAMES = tuple(f"COIN{n}USDT" for n in range(40))


class FakeConnections:
    """Fakes the pool and the pipeline: subscribed symbols, and those whose back-fill has not ended."""

    def __init__(self) -> None:
        self.subscribed: set[str] = set()
        self.paused: set[str] = set()
        self.removed: list[str] = []
        self.added: set[str] = set()

    def is_acknowledged(self, instrument: Instrument) -> bool:
        return instrument.symbol in self.subscribed

    def is_paused(self, instrument: Instrument) -> bool:
        return instrument.symbol in self.paused


class FakePool:
    """The connections' part of FakeConnections."""

    def __init__(self, state: FakeConnections) -> None:
        self._state = state
        self.is_acknowledged = state.is_acknowledged

    def add(self, listed: Iterable[ListedInstrument], unlisted: Mapping[ListedInstrument, str]) -> None:
        self._state.subscribed.update(one.instrument.symbol for one in (*listed, *unlisted))

    def remove(self, instruments: Iterable[Instrument]) -> None:
        self._state.subscribed.difference_update(one.symbol for one in instruments)


class FakePipeline:
    """The pipeline's part of FakeConnections."""

    def __init__(self, state: FakeConnections) -> None:
        self._state = state
        self.is_paused = state.is_paused

    def add(self, listed: Iterable[ListedInstrument], trackers: SequenceTrackers) -> None:
        self._state.added.update(one.instrument.symbol for one in listed)

    def remove(self, instrument: Instrument) -> None:
        self._state.removed.append(instrument.symbol)


def selection(*symbols: str) -> SymbolSelection:
    return SymbolSelection(tuple(ListedInstrument(spot(symbol)) for symbol in symbols), ())


def spot(symbol: str) -> Instrument:
    return Instrument("bybit", MarketType.SPOT, symbol)


@pytest.fixture
async def harness() -> AsyncIterator[SimpleNamespace]:
    connections, readiness = FakeConnections(), Readiness(Metrics(), in_group=True)
    reading = asyncio.Event()
    reading.set()

    async def read(keys: Collection[Instrument]) -> LogTail:
        await reading.wait()
        return LogTail(SequenceTrackers(100, 100), {})

    shards = ShardMap(COUNT, handover_s=10)
    live: set[int] = set()
    coordinator = SubscriptionCoordinator(
        shards,
        FakePool(connections),  # type: ignore[arg-type]
        FakePipeline(connections),  # type: ignore[arg-type]
        readiness,
        Metrics(),
        read,
        None,
        live.update,
    )
    coordinator.set_selection([selection(*NAMES)])
    running = asyncio.create_task(coordinator.run())
    yield SimpleNamespace(
        coordinator=coordinator, connections=connections, readiness=readiness, live=live, reading=reading
    )
    running.cancel()


def names_in(*shards: int) -> set[str]:
    return {name for name in NAMES if shard_of(spot(name), COUNT) in shards}


async def subscribes(harness: SimpleNamespace, symbols: set[str]) -> None:
    await aeventually(lambda: harness.connections.subscribed == symbols, "these symbols are subscribed")


async def test_symbols_of_assigned_shards_are_read_from_the_log_and_subscribed(harness: SimpleNamespace) -> None:
    harness.coordinator.on_assigned([1, 2])
    await subscribes(harness, names_in(1, 2))
    assert harness.connections.added == names_in(1, 2)
    assert harness.readiness.ready()[1]["owns"] == {"shards": [1, 2], "symbols": len(names_in(1, 2))}


async def test_shard_is_live_only_when_all_its_symbols_are_subscribed_and_back_filled(harness: SimpleNamespace) -> None:
    late = min(names_in(1))
    harness.connections.paused = {late}
    harness.coordinator.on_assigned([1, 2])
    await aeventually(lambda: harness.live == {2}, "the shard without a paused symbol is live")
    harness.connections.paused = set()
    await aeventually(lambda: harness.live == {1, 2}, "both are live")


async def test_symbols_of_a_revoked_shard_stay_subscribed_until_another_replica_claims_it(
    harness: SimpleNamespace,
) -> None:
    harness.coordinator.on_assigned([1, 2])
    await subscribes(harness, names_in(1, 2))
    harness.coordinator.on_revoked([2])
    await aeventually(lambda: harness.readiness.ready()[1]["owns"]["shards"] == [1], "the shard is revoked")
    assert harness.connections.subscribed == names_in(1, 2)
    harness.coordinator.on_claimed([2])
    await subscribes(harness, names_in(1))
    assert set(harness.connections.removed) == names_in(2)


async def test_shard_revoked_while_its_log_is_read_is_not_subscribed(harness: SimpleNamespace) -> None:
    harness.reading.clear()
    harness.coordinator.on_assigned([1, 2])
    await asyncio.sleep(0)
    harness.coordinator.on_revoked([2])
    harness.reading.set()
    await subscribes(harness, names_in(1))


async def test_new_selection_changes_only_the_symbols_that_differ(harness: SimpleNamespace) -> None:
    harness.coordinator.on_assigned([0, 1, 2, 3])
    await subscribes(harness, set(NAMES))
    harness.coordinator.set_selection([selection("NEWUSDT", *reversed(NAMES[1:]))])
    await subscribes(harness, {"NEWUSDT", *NAMES[1:]})
    assert harness.connections.removed == [NAMES[0]]


async def test_symbols_of_lost_shards_stay_subscribed(harness: SimpleNamespace) -> None:
    harness.coordinator.on_assigned([1, 2])
    await subscribes(harness, names_in(1, 2))
    harness.coordinator.on_lost([1, 2])
    assert not harness.readiness.ready()[0]
    harness.coordinator.on_assigned([2])
    await aeventually(lambda: harness.readiness.ready()[1]["owns"]["shards"] == [2], "the group has reassigned")
    assert harness.connections.subscribed == names_in(1, 2)

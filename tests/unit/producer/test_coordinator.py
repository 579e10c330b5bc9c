import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from types import SimpleNamespace

import pytest
from support import aeventually
from tapeline_producer.coordinator import Roster
from tapeline_producer.exchange.symbol_selection import Selection
from tapeline_producer.gaps.gap_detector import Histories, History
from tapeline_producer.gaps.log_tail import Key, Reading
from tapeline_producer.metrics import Metrics
from tapeline_producer.readiness import Status
from tapeline_producer.sharding.shards import Shares, share_of

COUNT = 4
NAMES = tuple(f"COIN{n}USDT" for n in range(40))


class Connections:
    """Stands for the pool and the intake: what is followed, and which symbols are not proven yet."""

    def __init__(self) -> None:
        self.followed: set[str] = set()
        self.unproven: set[str] = set()
        self.forgotten: list[str] = []
        self.adopted: set[str] = set()

    def add(self, market_type: str, symbols: Iterable[str], unlisted: Mapping[str, str]) -> None:
        self.followed.update(symbols, unlisted)

    def remove(self, market_type: str, symbols: Iterable[str]) -> None:
        self.followed.difference_update(symbols)

    def is_answered(self, market_type: str, symbol: str) -> bool:
        return symbol in self.followed

    def adopt(self, histories: Iterable[History]) -> None:
        self.adopted.update(history.symbol for history in histories)

    def forget(self, market_type: str, symbol: str) -> None:
        self.forgotten.append(symbol)

    def is_holding(self, market_type: str, symbol: str) -> bool:
        return symbol in self.unproven


@pytest.fixture
async def made() -> AsyncIterator[SimpleNamespace]:
    connections, status = Connections(), Status(Metrics(), in_group=True)
    reading = asyncio.Event()
    reading.set()

    async def read(keys: Collection[Key]) -> Reading:
        await reading.wait()
        return Reading(Histories(100, 100), {})

    shares = Shares(COUNT, handover_s=10)
    roster = Roster(shares, connections, connections, status, Metrics(), read)  # type: ignore[arg-type]
    announced: set[int] = set()
    roster.when_taken_up = announced.update
    roster.select({"spot": Selection(NAMES, ())})
    running = asyncio.create_task(roster.run())
    yield SimpleNamespace(roster=roster, connections=connections, status=status, announced=announced, reading=reading)
    running.cancel()


def of(*shares: int) -> set[str]:
    return {name for name in NAMES if share_of("spot", name, COUNT) in shares}


async def follows(made: SimpleNamespace, symbols: set[str]) -> None:
    await aeventually(lambda: made.connections.followed == symbols, "these symbols are followed")


async def test_symbols_of_the_shares_given_are_read_from_the_log_and_followed(made: SimpleNamespace) -> None:
    made.roster.assigned([1, 2])
    await follows(made, of(1, 2))
    assert made.connections.adopted == of(1, 2)
    assert made.status.ready()[1]["owns"] == {"partitions": [1, 2], "symbols": len(of(1, 2))}


async def test_share_is_announced_only_when_all_its_symbols_are_followed_and_proven(made: SimpleNamespace) -> None:
    late = min(of(1))
    made.connections.unproven = {late}
    made.roster.assigned([1, 2])
    await aeventually(lambda: made.announced == {2}, "the share without doubt is announced")
    made.connections.unproven = set()
    await aeventually(lambda: made.announced == {1, 2}, "both are announced")


async def test_symbols_given_up_are_followed_until_the_other_replica_has_them(made: SimpleNamespace) -> None:
    made.roster.assigned([1, 2])
    await follows(made, of(1, 2))
    made.roster.revoked([2])
    await aeventually(lambda: made.status.ready()[1]["owns"]["partitions"] == [1], "the share is another's")
    assert made.connections.followed == of(1, 2)
    made.roster.taken([2])
    await follows(made, of(1))
    assert set(made.connections.forgotten) == of(2)


async def test_share_revoked_while_its_log_is_read_is_not_taken_up(made: SimpleNamespace) -> None:
    made.reading.clear()
    made.roster.assigned([1, 2])
    await asyncio.sleep(0)
    made.roster.revoked([2])
    made.reading.set()
    await follows(made, of(1))


async def test_selection_that_changes_touches_only_what_it_changes(made: SimpleNamespace) -> None:
    made.roster.assigned([0, 1, 2, 3])
    await follows(made, set(NAMES))
    made.roster.select({"spot": Selection(("NEWUSDT", *reversed(NAMES[1:])), ())})
    await follows(made, {"NEWUSDT", *NAMES[1:]})
    assert made.connections.forgotten == [NAMES[0]]


async def test_shares_lost_from_sight_are_followed_on(made: SimpleNamespace) -> None:
    made.roster.assigned([1, 2])
    await follows(made, of(1, 2))
    made.roster.lost([1, 2])
    assert not made.status.ready()[0]
    made.roster.assigned([2])
    await aeventually(lambda: made.status.ready()[1]["owns"]["partitions"] == [2], "the group was heard")
    assert made.connections.followed == of(1, 2)

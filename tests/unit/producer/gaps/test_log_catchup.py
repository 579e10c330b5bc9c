import asyncio
from collections.abc import Collection, Mapping

from tapeline.instrument import Instrument
from tapeline_producer.errors import KafkaUnreachableError
from tapeline_producer.gaps.gap_detector import SequenceTracker
from tapeline_producer.gaps.log_catchup import LogCatchUp
from tapeline_producer.gaps.log_tail import LoggedTrade, LogPartition

from unit.producer.factories import BTC, ETH, START_MS

FIRST = LogPartition("trades", 0)


class Log:
    """Trades of other replicas, by offset in one partition, and the readings of them."""

    def __init__(self, *records: tuple[Instrument, int]) -> None:
        self.records = records
        self.requests: list[tuple[set[Instrument], dict[LogPartition, int]]] = []

    def read_since(self, wanted: Collection[Instrument], since: Mapping[LogPartition, int]) -> list[LoggedTrade]:
        self.requests.append((set(wanted), dict(since)))
        rest = self.records[since[FIRST] :]
        return [
            LoggedTrade(one.venue, one.market_type, one.symbol, f"t{n}", START_MS + n, 100 + n, 0)
            for one, n in rest
            if one in wanted
        ]


def tracker(instrument: Instrument) -> SequenceTracker:
    return SequenceTracker(instrument, window=100, buffer_limit=100)


async def test_concurrent_requests_share_one_reading_from_the_earliest_offset() -> None:
    log = Log((BTC, 1), (BTC, 2), (ETH, 3), (BTC, 4))
    catchup, btc, eth = LogCatchUp(log.read_since), tracker(BTC), tracker(ETH)
    catchup.watch([BTC], {FIRST: 1})
    catchup.watch([ETH], {FIRST: 2})
    await asyncio.gather(catchup.catch_up(btc), catchup.catch_up(eth))
    assert log.requests == [({BTC, ETH}, {FIRST: 1})]
    assert btc.last is not None and eth.last is not None
    assert (btc.last.trade_id, eth.last.trade_id) == ("t4", "t3")


async def test_symbol_that_is_not_watched_is_not_read() -> None:
    log = Log((BTC, 1))
    catchup, one = LogCatchUp(log.read_since), tracker(BTC)
    await catchup.catch_up(one)
    catchup.watch([BTC], {FIRST: 0})
    catchup.unwatch(BTC)
    await catchup.catch_up(one)
    assert log.requests == [] and one.last is None


async def test_failed_reading_proves_nothing_and_raises_nothing() -> None:
    def fail(wanted: Collection[Instrument], since: Mapping[LogPartition, int]) -> list[LoggedTrade]:
        raise KafkaUnreachableError("127.0.0.1:9", "gone")

    catchup, one = LogCatchUp(fail), tracker(BTC)
    catchup.watch([BTC], {FIRST: 0})
    await catchup.catch_up(one)
    assert one.last is None

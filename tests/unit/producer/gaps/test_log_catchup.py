import asyncio
from collections.abc import Collection, Mapping

from tapeline_producer.errors import KafkaUnreachableError
from tapeline_producer.gaps.gap_detector import SequenceTracker
from tapeline_producer.gaps.log_catchup import LogCatchUp
from tapeline_producer.gaps.log_tail import InstrumentKey, LoggedTrade

from unit.producer.factories import START_MS

BTC, ETH = ("spot", "BTCUSDT"), ("spot", "ETHUSDT")


class Log:
    """Trades of other replicas, by offset in one partition, and the readings of them."""

    def __init__(self, *records: tuple[InstrumentKey, int]) -> None:
        self.records = records
        self.requests: list[tuple[set[InstrumentKey], dict[int, int]]] = []

    def read_since(self, wanted: Collection[InstrumentKey], since: Mapping[int, int]) -> list[LoggedTrade]:
        self.requests.append((set(wanted), dict(since)))
        rest = self.records[since[0] :]
        return [LoggedTrade(*key, f"t{n}", START_MS + n, 100 + n, 0) for key, n in rest if key in wanted]


def tracker(key: InstrumentKey) -> SequenceTracker:
    return SequenceTracker(*key, window=100, buffer_limit=100)


async def test_concurrent_requests_share_one_reading_from_the_earliest_offset() -> None:
    log = Log((BTC, 1), (BTC, 2), (ETH, 3), (BTC, 4))
    catchup, btc, eth = LogCatchUp(log.read_since), tracker(BTC), tracker(ETH)
    catchup.watch([BTC], {0: 1})
    catchup.watch([ETH], {0: 2})
    await asyncio.gather(catchup.catch_up(btc), catchup.catch_up(eth))
    assert log.requests == [({BTC, ETH}, {0: 1})]
    assert btc.last is not None and eth.last is not None
    assert (btc.last.trade_id, eth.last.trade_id) == ("t4", "t3")


async def test_symbol_that_is_not_watched_is_not_read() -> None:
    log = Log((BTC, 1))
    catchup, one = LogCatchUp(log.read_since), tracker(BTC)
    await catchup.catch_up(one)
    catchup.watch([BTC], {0: 0})
    catchup.unwatch(BTC)
    await catchup.catch_up(one)
    assert log.requests == [] and one.last is None


async def test_failed_reading_proves_nothing_and_raises_nothing() -> None:
    def fail(wanted: Collection[InstrumentKey], since: Mapping[int, int]) -> list[LoggedTrade]:
        raise KafkaUnreachableError("127.0.0.1:9", "gone")

    catchup, one = LogCatchUp(fail), tracker(BTC)
    catchup.watch([BTC], {0: 0})
    await catchup.catch_up(one)
    assert one.last is None

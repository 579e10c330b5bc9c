import asyncio
from collections.abc import Collection, Mapping

from tapeline_producer.errors import KafkaUnreachableError
from tapeline_producer.gaps.gap_detector import History
from tapeline_producer.gaps.log_catchup import Witness
from tapeline_producer.gaps.log_tail import Key, Stored

from unit.producer.made import START_MS

BTC, ETH = ("spot", "BTCUSDT"), ("spot", "ETHUSDT")


class Log:
    """Trades of other replicas, by offset in one partition."""

    def __init__(self, *records: tuple[Key, int]) -> None:
        self.records = records
        self.asked: list[tuple[set[Key], dict[int, int]]] = []

    def read_on(self, wanted: Collection[Key], since: Mapping[int, int]) -> list[Stored]:
        self.asked.append((set(wanted), dict(since)))
        rest = self.records[since[0] :]
        return [Stored(*key, f"t{n}", START_MS + n, 100 + n, 0) for key, n in rest if key in wanted]


def history(key: Key) -> History:
    return History(*key, window=100, hold_limit=100)


async def test_symbols_that_ask_together_are_answered_by_one_reading_from_the_earlier_offset() -> None:
    log = Log((BTC, 1), (BTC, 2), (ETH, 3), (BTC, 4))
    witness, btc, eth = Witness(log.read_on), history(BTC), history(ETH)
    witness.expect([BTC], {0: 1})
    witness.expect([ETH], {0: 2})
    await asyncio.gather(witness.testify(btc), witness.testify(eth))
    assert log.asked == [({BTC, ETH}, {0: 1})]
    assert btc.last is not None and eth.last is not None
    assert (btc.last.trade_id, eth.last.trade_id) == ("t4", "t3")


async def test_symbol_that_nobody_else_can_have_written_costs_no_reading() -> None:
    log = Log((BTC, 1))
    witness, one = Witness(log.read_on), history(BTC)
    await witness.testify(one)
    witness.expect([BTC], {0: 0})
    witness.dismiss(BTC)
    await witness.testify(one)
    assert log.asked == [] and one.last is None


async def test_log_that_cannot_be_read_proves_nothing_and_stops_nothing() -> None:
    def away(wanted: Collection[Key], since: Mapping[int, int]) -> list[Stored]:
        raise KafkaUnreachableError("127.0.0.1:9", "gone")

    witness, one = Witness(away), history(BTC)
    witness.expect([BTC], {0: 0})
    await witness.testify(one)
    assert one.last is None

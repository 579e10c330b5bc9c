"""The market maker state of one symbol: limits of its behaviour."""

from itertools import pairwise

import pytest
from tapeline.enums import MarketType
from tapeline_simulator.bybit.frames import NewerFields
from tapeline_simulator.errors import ForeignLedger
from tapeline_simulator.sources.listing import Listing
from tapeline_simulator.sources.market_maker import FILL_COUNTS, MEAN_FILL_COUNT, MarketMaker, rpi_of

from unit.simulator.factories import T0

WILD = Listing(MarketType.LINEAR, "WILD", "1", "1", "20", 1, 1000)


def test_mean_fill_count_follows_from_the_table():
    by_hand = 0.62 * 1 + 0.22 * 2.5 + 0.13 * 6 + 0.03 * 19.5
    assert pytest.approx(by_hand) == MEAN_FILL_COUNT
    assert FILL_COUNTS[-1][0] == 1.0


def test_price_of_the_coarsest_tick_stays_within_the_price_limits():
    market_maker = MarketMaker(WILD, 1, 200.0, 3, NewerFields())
    market_maker.open(T0)
    prices = [int(t.price) for _, frames in market_maker.orders_until(T0 + 200_000) for f in frames for t in f.trades]
    assert len(prices) > 10_000 and 10 <= min(prices) < 15 and 25 < max(prices) <= 41


def test_tick_directions_agree_with_the_prices():
    market_maker = MarketMaker(WILD, 1, 50.0, 3, NewerFields())
    market_maker.open(T0)
    trades = [t for _, frames in market_maker.orders_until(T0 + 60_000) for f in frames for t in f.trades]
    for before, after in pairwise(trades):
        step = int(after.price) - int(before.price)
        if step:
            assert after.tick_direction == ("PlusTick" if step > 0 else "MinusTick")
        else:
            assert after.tick_direction == "Zero" + before.tick_direction.removeprefix("Zero")


def test_rpi_is_rare_and_depends_only_on_the_id():
    flags = [rpi_of(str(number)) for number in range(10_000)]
    assert 0.02 < sum(flags) / len(flags) < 0.05
    assert flags == [rpi_of(str(number)) for number in range(10_000)]


def test_ledger_with_an_id_of_another_format_is_refused():
    row = {"trade_id": "abc", "price": "20", "side": "Buy", "sequence": 1, "traded_at": T0}
    with pytest.raises(ForeignLedger, match="'abc'"):
        MarketMaker(WILD, 1, 50.0, 3, NewerFields()).resume([row])


def test_signs_of_neighbouring_orders_persist_without_bias_to_one_side():
    market_maker = MarketMaker(WILD, 1, 100.0, 3, NewerFields())
    market_maker.open(T0)
    sides = [frames[0].trades[0].side for _, frames in market_maker.orders_until(T0 + 300_000)]
    same = sum(before == after for before, after in pairwise(sides)) / len(sides)
    assert 0.58 < same < 0.8 and 0.35 < sides.count("Buy") / len(sides) < 0.65

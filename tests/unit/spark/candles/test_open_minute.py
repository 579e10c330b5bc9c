from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st
from tapeline_spark.candles.open_minute import OpenMinute, TradeIds
from tapeline_spark.trades.lookback import order_key

from unit.spark.candles.log_factories import trade

NUMBERS = st.decimals("0.00000000000000000001", "999999999999999999", places=20, allow_nan=False)


def filled(*records) -> OpenMinute:
    minute = OpenMinute()
    for item in records:
        minute.add(item.trade, order_key(item.trade), False)
    return minute


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=8))
def test_sums_are_exact_for_the_longest_decimals_a_trade_may_carry(pairs: list[tuple[Decimal, Decimal]]) -> None:
    minute = filled(*(trade(0, f"{price:f}", quantity=f"{quantity:f}") for price, quantity in pairs))
    assert Fraction(minute.volume) == sum(Fraction(quantity) for _, quantity in pairs)
    assert Fraction(minute.notional) == sum(Fraction(price) * Fraction(quantity) for price, quantity in pairs)


def test_open_and_close_are_first_and_last_by_the_exchanges_order_whenever_they_come() -> None:
    later, first, last, low = (
        trade(20, "105", sequence=3),
        trade(10, "101", sequence=1),
        trade(30, "104", sequence=9),
        trade(20, "99", sequence=4),
    )
    minute = filled(later, last, low, first)
    assert (minute.open, minute.high, minute.low, minute.close) == (101.0, 105.0, 99.0, 104.0)


def test_buys_are_those_of_the_taker() -> None:
    minute = filled(trade(0, quantity="0.1", side="Buy"), trade(0, quantity="0.2", side="Sell"))
    assert (minute.buy_volume, minute.volume) == (Decimal("0.1"), Decimal("0.3"))


def test_a_copy_is_logged_and_adds_nothing() -> None:
    one = trade(0, "100", quantity="2")
    minute = filled(one, one)
    assert (minute.trades, minute.logged, minute.volume) == (1, 2, Decimal(2))


@given(st.lists(st.tuples(st.text(max_size=3), st.booleans())))
def test_ids_are_remembered_through_packing_and_disk(steps: list[tuple[str, bool]]) -> None:
    ids, seen = TradeIds(), set()
    for text, is_restarted in steps:
        assert ids.add(text) == (text not in seen)
        seen.add(text)
        ids.compact()
        if is_restarted:
            ids = TradeIds(ids.to_bytes())

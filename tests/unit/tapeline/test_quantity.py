"""Quantities in the base asset, against exact fractions."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tapeline.enums import MarketType, QuantityUnit
from tapeline.quantity import base_quantity

AMOUNTS = st.decimals("0.00000001", "1000000000", places=8).map(lambda one: format(one.normalize(), "f"))
SPOT, LINEAR, INVERSE = MarketType.SPOT, MarketType.LINEAR, MarketType.INVERSE


@pytest.mark.parametrize(
    ("quantity", "price", "unit", "market_type", "size", "expected"),
    [
        ("0.00012", "16618.49", QuantityUnit.BASE, SPOT, None, "0.00012"),
        ("1.50", "16618.49", QuantityUnit.BASE, LINEAR, None, "1.50"),
        ("1", "60000", QuantityUnit.QUOTE, INVERSE, None, "0.0000166666666666666667"),
        ("120000", "60000", QuantityUnit.QUOTE, INVERSE, None, "2"),
        ("3", "60000", QuantityUnit.CONTRACT, LINEAR, "0.01", "0.03"),
        ("600", "60000", QuantityUnit.CONTRACT, INVERSE, "100", "1"),
        # A tie goes to the even digit: 18 digits are kept.
        ("1.00000000000000000500", "1", QuantityUnit.BASE, SPOT, None, "1"),
        ("1.00000000000000001500", "1", QuantityUnit.BASE, SPOT, None, "1.00000000000000002"),
    ],
)
def test_known_quantities(quantity, price, unit, market_type, size, expected) -> None:
    assert base_quantity(quantity, price, unit, market_type, size) == expected


@given(AMOUNTS, AMOUNTS, AMOUNTS, st.sampled_from(QuantityUnit), st.sampled_from(MarketType))
def test_the_result_is_exact_to_half_of_its_last_digit(quantity, price, size, unit, market_type) -> None:
    found = base_quantity(quantity, price, unit, market_type, size)
    exact = Fraction(quantity)
    if unit is QuantityUnit.CONTRACT:
        exact *= Fraction(size)
    if unit is QuantityUnit.QUOTE or (unit is QuantityUnit.CONTRACT and market_type is INVERSE):
        exact /= Fraction(price)
    assert "E" not in found and Decimal(found) > 0
    assert abs(Fraction(found) - exact) <= exact * Fraction(1, 2 * 10**17)
    assert len(Decimal(found).normalize().as_tuple().digits) <= 18


def test_contracts_without_a_size_are_refused() -> None:
    with pytest.raises(ValueError, match="contract_size was None"):
        base_quantity("1", "2", QuantityUnit.CONTRACT, LINEAR, None)

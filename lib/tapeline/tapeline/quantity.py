"""Quantities in the base asset, whatever the venue counts in."""

from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from tapeline.enums import MarketType, QuantityUnit

SIGNIFICANT_DIGITS: Final = 18
_CONTEXT: Final = Context(prec=SIGNIFICANT_DIGITS, rounding=ROUND_HALF_EVEN)


def base_quantity(
    quantity: str, price: str, unit: QuantityUnit, market_type: MarketType, contract_size: str | None
) -> str:
    """Return a trade's quantity in the base asset, as plain decimal text.

    A quantity that is in the base asset already keeps the venue's digits, up to 18 significant ones.

    Args:
        quantity: positive decimal text, in `unit`.
        price: positive decimal text, quote per base.
        unit: what the venue counts.
        market_type: says what a contract's size counts: the quote asset where it is inverse, else the base asset.
        contract_size: positive decimal text, what one contract stands for; None where the unit is no contract.

    Raises:
        ValueError: the unit is a contract and there is no size.
    """
    if unit is QuantityUnit.BASE:
        # Digits and at most one point: this long, none needs rounding.
        return quantity if len(quantity) <= SIGNIFICANT_DIGITS else _plain(_CONTEXT.plus(Decimal(quantity)))
    amount = Decimal(quantity)
    if unit is QuantityUnit.CONTRACT:
        if contract_size is None:
            raise ValueError("contract_size was None; a quantity in contracts needs it: take it from the venue's list")
        if market_type is not MarketType.INVERSE:
            return _plain(_CONTEXT.multiply(amount, Decimal(contract_size)))
        # Exact, so that rounding happens once, in the division.
        amount *= Decimal(contract_size)
    return _plain(_CONTEXT.divide(amount, Decimal(price)))


def _plain(value: Decimal) -> str:
    return format(value.normalize(_CONTEXT), "f")

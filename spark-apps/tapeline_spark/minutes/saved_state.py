"""Instruments as keys of a saved state: text there, instruments in memory. Pure."""

from collections.abc import Mapping
from typing import TypeVar

from tapeline.instrument import Instrument

Value = TypeVar("Value")


def by_text(values: Mapping[Instrument, Value]) -> dict[str, Value]:
    """Return values by the text of their instrument."""
    return {str(instrument): value for instrument, value in values.items()}


def by_instrument(values: Mapping[str, Value]) -> dict[Instrument, Value]:
    """Return values by the instrument that their key names.

    Raises:
        ValueError: a key is not the text of an instrument.
    """
    return {Instrument.parse(text): value for text, value in values.items()}

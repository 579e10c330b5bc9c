"""An instrument: what is traded, and where. It keys every state of Tapeline.

Its text is `venue:market_type:symbol`, such as `bybit:spot:BTCUSDT`, and is split at the first two colons: a symbol is
the venue's own and may hold `/` and `:`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Self
from urllib.parse import quote, unquote

from tapeline.enums import MarketType

VENUE_PATTERN: Final = r"^[a-z0-9_-]{1,16}$"
UNKNOWN_SYMBOL: Final = "?"
"""Stands for the symbol of input that could not be parsed; no symbol of a venue is accepted under this name."""
_SIGN: Final = r"[^|\s\x00-\x1f\x7f-\x9f]"
SYMBOL_PATTERN: Final = rf"^([^?|\s\x00-\x1f\x7f-\x9f]{_SIGN}{{0,63}}|\?{_SIGN}{{1,63}})$"
"""No `|`, which joins the parts of an identity; no white space; no control characters; not UNKNOWN_SYMBOL."""

_VENUE: Final = re.compile(VENUE_PATTERN.removeprefix("^").removesuffix("$"))
_SYMBOL: Final = re.compile(SYMBOL_PATTERN.removeprefix("^").removesuffix("$"))


@dataclass(frozen=True, order=True, slots=True)
class Instrument:
    """One instrument of one venue. Sorts by venue, market type, symbol.

    Attributes:
        venue: the exchange, lower case, such as `bybit`.
        market_type: spot, linear or inverse; the same symbol is another instrument in another market type.
        symbol: as the venue spells it, or UNKNOWN_SYMBOL.

    Raises:
        ValueError: a part breaks its rule.
    """

    venue: str
    market_type: MarketType
    symbol: str
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not _VENUE.fullmatch(self.venue):
            rule = "1 to 16 lower-case letters, digits, '_' or '-'"
            raise ValueError(
                f"venue of an instrument was {self.venue!r}; {rule}: use the venue's name in tapeline.names"
            )
        if not isinstance(self.market_type, MarketType):
            object.__setattr__(self, "market_type", _market_type(self.market_type))
        if not _SYMBOL.fullmatch(self.symbol) and self.symbol != UNKNOWN_SYMBOL:
            rule = "1 to 64 characters without '|', white space and control characters"
            raise ValueError(
                f"symbol of an instrument was {self.symbol!r}; {rule}: take the symbol from the venue's list"
            )
        # Every state is looked up by it, several times a trade; hashing the parts anew takes twice as long.
        object.__setattr__(self, "_hash", hash(str(self)))

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[Callable[[str], Self], tuple[str]]:
        # Made anew where it is unpickled: another process hashes strings otherwise.
        return type(self).parse, (str(self),)

    def __str__(self) -> str:
        return f"{self.venue}:{self.market_type}:{self.symbol}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the instrument that a text names.

        Raises:
            ValueError: the text is not `venue:market_type:symbol`, or a part breaks its rule.
        """
        parts = text.split(":", 2)
        if len(parts) != 3:
            raise ValueError(
                f"instrument was {text!r}; it must be venue:market_type:symbol, such as bybit:spot:BTCUSDT"
            )
        return cls(parts[0], _market_type(parts[1]), parts[2])

    @property
    def url_path(self) -> str:
        """The text as one segment of a URL's path, percent-encoded."""
        return quote(str(self), safe="")

    @classmethod
    def parse_url_path(cls, segment: str) -> Self:
        """Return the instrument of a segment made by `url_path`, decoded once.

        Raises:
            ValueError: see `parse`.
        """
        return cls.parse(unquote(segment))


def _market_type(text: str) -> MarketType:
    try:
        return MarketType(text)
    except ValueError:
        known = ", ".join(MarketType)
        raise ValueError(f"market type was {text!r}; known: {known}: use one of them") from None


@lru_cache(maxsize=65_536)
def instrument_of(venue: str, market_type: str, symbol: str) -> Instrument:
    """Return the instrument of a record's three fields; made once for each, since every trade asks.

    Raises:
        ValueError: a part breaks its rule.
    """
    return Instrument(venue, _market_type(market_type), symbol)

"""One minute of one symbol, trade by trade. Pure.

The sums are decimals, added exactly: neither order, nor lateness, nor batches leave anything behind in them.
"""

from array import array
from bisect import bisect_left
from dataclasses import dataclass, field
from decimal import Context, Decimal
from hashlib import blake2b
from typing import Any, Final

from tapeline_spark.trades.lookback import Order

EXACT: Final = Context(prec=120)
"""Digits for sums of products of the longest decimals that a trade may carry (tapeline.trade.DECIMAL_PATTERN)."""
_ZERO: Final = Decimal(0)
_NOBODY: Final = (0, 0, 0)


class Ids:
    """Which trades are in a minute, as 64-bit hashes: a set while many come, eight bytes each afterwards."""

    __slots__ = ("_hot", "_packed")

    def __init__(self, packed: bytes = b"") -> None:
        """Begin with none, or with what `packed` gave."""
        self._hot: set[int] | None = None if packed else set()
        self._packed = array("Q", packed)

    def __eq__(self, other: object) -> bool:
        """Return whether both remember the same."""
        return isinstance(other, Ids) and self.packed() == other.packed()

    def add(self, trade_id: str) -> bool:
        """Return whether an id is new, and remember it."""
        number = int.from_bytes(blake2b(trade_id.encode(), digest_size=8).digest(), "little")
        if self._hot is not None:
            before = len(self._hot)
            self._hot.add(number)
            return len(self._hot) > before
        place = bisect_left(self._packed, number)
        if place < len(self._packed) and self._packed[place] == number:
            return False
        self._packed.insert(place, number)
        return True

    def pack(self) -> None:
        """Take as little memory as can be; few more are to come."""
        if self._hot is not None:
            self._packed, self._hot = array("Q", sorted(self._hot)), None

    def packed(self) -> bytes:
        """Return all of them, in the byte order of this machine."""
        return (self._packed if self._hot is None else array("Q", sorted(self._hot))).tobytes()


@dataclass(slots=True)
class Minute:
    """A minute that trades can still come into; there is none without a trade."""

    first: Order = _NOBODY
    last: Order = _NOBODY
    open: float = 0.0
    high: float = 0.0
    low: float = 0.0
    close: float = 0.0
    volume: Decimal = _ZERO
    notional: Decimal = _ZERO
    buy_volume: Decimal = _ZERO
    trades: int = 0
    late_trades: int = 0
    logged: int = 0
    ids: Ids = field(default_factory=Ids)

    def add(self, trade: Any, order: Order, is_late: bool) -> bool:
        """Take a record of the log; return whether it is a trade that was not in it yet."""
        self.logged += 1
        if not self.ids.add(trade.trade_id):
            return False
        price, quantity = Decimal(trade.price), Decimal(trade.quantity)
        self._place(float(trade.price), order)
        self.volume = EXACT.add(self.volume, quantity)
        self.notional = EXACT.add(self.notional, EXACT.multiply(price, quantity))
        if trade.side == "Buy":
            self.buy_volume = EXACT.add(self.buy_volume, quantity)
        self.trades += 1
        self.late_trades += is_late
        return True

    def _place(self, price: float, order: Order) -> None:
        if not self.trades:
            self.first = self.last = order
            self.open = self.high = self.low = self.close = price
            return
        self.high, self.low = max(self.high, price), min(self.low, price)
        if order < self.first:
            self.first, self.open = order, price
        if order >= self.last:
            self.last, self.close = order, price

    def vwap(self) -> float:
        """Return the mean price, weighted by quantity."""
        return float(EXACT.divide(self.notional, self.volume))

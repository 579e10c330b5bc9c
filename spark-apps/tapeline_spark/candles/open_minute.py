"""Aggregates one minute of one symbol, trade by trade. Pure.

Sums are exact decimals, so they do not depend on order, lateness or batches.
"""

from array import array
from bisect import bisect_left
from dataclasses import dataclass, field
from decimal import Context, Decimal
from hashlib import blake2b
from typing import Any, Final

from tapeline_spark.trades.lookback import Order

EXACT: Final = Context(prec=120)
"""Digits for sums of products of the longest decimals of a trade (tapeline.trade.DECIMAL_PATTERN)."""
_ZERO: Final = Decimal(0)
_NO_ORDER: Final = (0, 0, 0)


class TradeIds:
    """Trade ids of a minute as 64-bit hashes: a set while many arrive, then a sorted array of eight bytes each."""

    __slots__ = ("_recent", "_sorted")

    def __init__(self, packed: bytes = b"") -> None:
        """Start empty, or with the bytes of `to_bytes`."""
        self._recent: set[int] | None = None if packed else set()
        self._sorted = array("Q", packed)

    def __eq__(self, other: object) -> bool:
        """Return whether both hold the same ids."""
        return isinstance(other, TradeIds) and self.to_bytes() == other.to_bytes()

    def add(self, trade_id: str) -> bool:
        """Add an id; return whether it is new."""
        number = int.from_bytes(blake2b(trade_id.encode(), digest_size=8).digest(), "little")
        if self._recent is not None:
            before = len(self._recent)
            self._recent.add(number)
            return len(self._recent) > before
        position = bisect_left(self._sorted, number)
        if position < len(self._sorted) and self._sorted[position] == number:
            return False
        self._sorted.insert(position, number)
        return True

    def compact(self) -> None:
        """Convert to the sorted array; few more ids are expected."""
        if self._recent is not None:
            self._sorted, self._recent = array("Q", sorted(self._recent)), None

    def to_bytes(self) -> bytes:
        """Return all ids in native byte order."""
        return (self._sorted if self._recent is None else array("Q", sorted(self._recent))).tobytes()


@dataclass(slots=True)
class OpenMinute:
    """A minute that trades can still enter; it has at least one trade."""

    first: Order = _NO_ORDER
    last: Order = _NO_ORDER
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
    ids: TradeIds = field(default_factory=TradeIds)

    def add(self, trade: Any, order: Order, is_late: bool) -> bool:
        """Add a record of the log; return whether its trade is new."""
        self.logged += 1
        if not self.ids.add(trade.trade_id):
            return False
        price, quantity = Decimal(trade.price), Decimal(trade.base_quantity)
        self._add_price(float(trade.price), order)
        self.volume = EXACT.add(self.volume, quantity)
        self.notional = EXACT.add(self.notional, EXACT.multiply(price, quantity))
        if trade.side == "Buy":
            self.buy_volume = EXACT.add(self.buy_volume, quantity)
        self.trades += 1
        self.late_trades += is_late
        return True

    def _add_price(self, price: float, order: Order) -> None:
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
        """Return the volume-weighted mean price."""
        return float(EXACT.divide(self.notional, self.volume))

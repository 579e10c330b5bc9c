"""The bounded memory in front of the Kafka client, and the books of what did not fit.

Pure: publish.py moves the records. When it is full the newest trades are dropped, and each symbol's
hole becomes one gap once there is room again.
To change what is dropped: `admit`.
"""

from typing import Final, NamedTuple

from tapeline import names
from tapeline.records.gap import Gap

from tapeline_producer.exchange.bybit.messages import Trade

# Room must be this share before trades are taken again: at the brim each free place would cost a gap.
_ROOM_AGAIN: Final = 0.25


class End(NamedTuple):
    """One end of a hole."""

    trade_id: str | None
    traded_at: int


class Admission:
    """Decides which trades are kept, and remembers the holes of those that are not."""

    def __init__(self, limit: int) -> None:
        """Start empty.

        Args:
            limit: trades that may wait.
        """
        self._limit = limit
        self._is_full = False
        self._last_kept: dict[tuple[str, str], End] = {}
        self._holes: dict[tuple[str, str], End] = {}

    @property
    def is_full(self) -> bool:
        """Whether trades are being dropped."""
        return self._is_full

    def known(self, market_type: str, symbol: str, trade_id: str, traded_at: int) -> None:
        """Note a trade that Kafka had before this process followed its symbol."""
        self._last_kept[market_type, symbol] = End(trade_id, traded_at)

    def forget(self, market_type: str, symbol: str) -> None:
        """Drop what is known of a symbol, an open hole included: whoever owns it now reports what is missing."""
        self._last_kept.pop((market_type, symbol), None)
        self._holes.pop((market_type, symbol), None)

    def admit(self, trade: Trade, waiting: int, now_ms: int) -> tuple[bool, Gap | None]:
        """Return whether to keep a trade, and the gap that ends with it.

        Args:
            trade: the newest trade of its symbol.
            waiting: trades that wait already.
            now_ms: for the gap, ms UTC.
        """
        if waiting >= self._limit:
            self._is_full = True
        elif waiting <= self._limit * (1 - _ROOM_AGAIN):
            self._is_full = False
        who = trade.market_type, trade.symbol
        if self._is_full:
            if who not in self._holes:
                self._holes[who] = self._last_kept.get(who, End(None, trade.traded_at))
            return False, None
        self._last_kept[who] = End(trade.trade_id, trade.traded_at)
        if not self._holes:
            return True, None
        start = self._holes.pop(who, None)
        return True, None if start is None else _gap(start, trade, now_ms)


def _gap(start: End, trade: Trade, now_ms: int) -> Gap:
    return Gap.model_validate(
        {
            "venue": names.VENUE,
            "market_type": trade.market_type,
            "symbol": trade.symbol,
            "reason": "overflow",
            "detected_at": now_ms,
            "from_traded_at": start.traded_at,
            "from_trade_id": start.trade_id,
            "to_traded_at": trade.traded_at,
            "to_trade_id": trade.trade_id,
            "backfilled": 0,
        }
    )

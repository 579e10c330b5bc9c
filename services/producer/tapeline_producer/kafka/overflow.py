"""Limits the buffer in front of the Kafka client, and reports what was dropped as gaps.

Pure: trade_writer.py moves the records. While the buffer is full the newest trades are dropped; once it has room
again, each instrument's dropped trades become one gap.
To change what is dropped: `admit`.
"""

from typing import Final, NamedTuple

from tapeline.enums import GapReason
from tapeline.instrument import Instrument
from tapeline.records.gap import Gap

from tapeline_producer.exchange.bybit.messages import Trade

# Share of the buffer that must be free before trades are accepted again: otherwise each free slot would cost a gap.
_RESUME_FREE_SHARE: Final = 0.25


class GapBoundary(NamedTuple):
    """The trade at one end of a gap."""

    trade_id: str | None
    traded_at: int


class OverflowPolicy:
    """Decides which trades are buffered, and tracks the open gap of each instrument whose trades are dropped."""

    def __init__(self, limit: int) -> None:
        """Start with an empty buffer.

        Args:
            limit: most trades buffered.
        """
        self._limit = limit
        self._is_full = False
        self._last_kept: dict[Instrument, GapBoundary] = {}
        self._open_gaps: dict[Instrument, GapBoundary] = {}

    @property
    def is_full(self) -> bool:
        """Whether trades are being dropped."""
        return self._is_full

    def record_logged(self, instrument: Instrument, trade_id: str, traded_at: int) -> None:
        """Record a trade that Kafka held before this process subscribed its instrument."""
        self._last_kept[instrument] = GapBoundary(trade_id, traded_at)

    def remove(self, instrument: Instrument) -> None:
        """Remove an instrument and its open gap: the new owner reports what is missing."""
        self._last_kept.pop(instrument, None)
        self._open_gaps.pop(instrument, None)

    def admit(self, instrument: Instrument, trade: Trade, buffered: int, now_ms: int) -> tuple[bool, Gap | None]:
        """Return whether to keep a trade, and the gap that ends with it.

        Args:
            instrument: of the trade.
            trade: the newest trade of its instrument.
            buffered: number of buffered trades.
            now_ms: for the gap, ms UTC.
        """
        if buffered >= self._limit:
            self._is_full = True
        elif buffered <= self._limit * (1 - _RESUME_FREE_SHARE):
            self._is_full = False
        if self._is_full:
            if instrument not in self._open_gaps:
                self._open_gaps[instrument] = self._last_kept.get(instrument, GapBoundary(None, trade.traded_at))
            return False, None
        self._last_kept[instrument] = GapBoundary(trade.trade_id, trade.traded_at)
        if not self._open_gaps:
            return True, None
        start = self._open_gaps.pop(instrument, None)
        return True, None if start is None else _gap(instrument, start, trade, now_ms)


def _gap(instrument: Instrument, start: GapBoundary, trade: Trade, now_ms: int) -> Gap:
    return Gap.model_validate(
        {
            "venue": instrument.venue,
            "market_type": instrument.market_type,
            "symbol": instrument.symbol,
            "reason": GapReason.OVERFLOW,
            "detected_at": now_ms,
            "from_traded_at": start.traded_at,
            "from_trade_id": start.trade_id,
            "to_traded_at": trade.traded_at,
            "to_trade_id": trade.trade_id,
            "backfilled": 0,
        }
    )

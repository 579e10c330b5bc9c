"""Gap records, and which trades a gap touches, separates or covers.

A gap stands for trades of one instrument that the exchange made and that never reached us. Both ends of a gap are
trades that we do have, so a gap claims nothing that is not missing. Everything that asks about gaps asks here: labels,
live scores, reconciliation, the board. Where both end trades are among the trades at hand, their ids decide. Elsewhere
time decides, and a millisecond that a trade shares with an end is in doubt: such a trade counts as separated from its
neighbours, and as not covered.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Final, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from tapeline import trade
from tapeline.enums import GapReason
from tapeline.instrument import SYMBOL_PATTERN, Instrument, instrument_of
from tapeline.records.fields import EpochMs, MarketType
from tapeline.records.mapping_types import DATE, KEYWORD

_TradeId = Annotated[str, Field(pattern=trade.TRADE_ID_PATTERN)]


class Gap(BaseModel):
    """Trades of one instrument may be missing between two trades that are known."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    venue: str
    market_type: MarketType
    symbol: Annotated[str, Field(pattern=SYMBOL_PATTERN)]
    reason: Annotated[GapReason, Field(strict=False)]
    detected_at: EpochMs
    from_traded_at: EpochMs
    """Time of the last trade known before the gap, or the earliest time from which nothing is known."""
    from_trade_id: _TradeId | None
    """Id of the last trade known before the gap; None where only the time is known."""
    to_traded_at: EpochMs
    to_trade_id: _TradeId
    backfilled: Annotated[int, Field(ge=0)]
    """Trades of the same outage that REST did give back."""

    @property
    def instrument(self) -> Instrument:
        """Whose trades the record speaks of."""
        return instrument_of(self.venue, self.market_type, self.symbol)

    def identity(self) -> str:
        """Return the document id: one per gap, however often it is reported."""
        start = self.from_trade_id or str(self.from_traded_at)
        return f"{self.venue}|{self.market_type}|{self.symbol}|{start}|{self.to_trade_id}"


MAPPING: Final = {
    "dynamic": "strict",
    "properties": {
        "@timestamp": DATE,
        "venue": KEYWORD,
        "market_type": KEYWORD,
        "symbol": KEYWORD,
        "reason": KEYWORD,
        "detected_at": DATE,
        "from_traded_at": DATE,
        "from_trade_id": KEYWORD,
        "to_traded_at": DATE,
        "to_trade_id": KEYWORD,
        "backfilled": {"type": "integer"},
    },
}


class GapTimes(Protocol):
    """Times of the end trades of a gap, ms UTC."""

    @property
    def from_traded_at(self) -> int:
        """Time of the last trade known before the gap."""

    @property
    def to_traded_at(self) -> int:
        """Time of the first trade known behind the gap."""


def touches(gap: GapTimes, from_ms: int, to_ms: int) -> bool:
    """Return whether a gap reaches into a span of time: its end trades count as parts of the gap.

    Args:
        gap: the gap.
        from_ms: start of the span, inclusive, ms UTC.
        to_ms: end of the span, exclusive, ms UTC.
    """
    return gap.from_traded_at < to_ms and gap.to_traded_at >= from_ms


def touching_query(from_ms: int, to_ms: int) -> list[dict[str, Any]]:
    """Return `touches` as clauses for the filter of an Elasticsearch query over gap documents."""
    return [
        {"range": {"from_traded_at": {"lt": to_ms, "format": "epoch_millis"}}},
        {"range": {"to_traded_at": {"gte": from_ms, "format": "epoch_millis"}}},
    ]


def separates(gap: GapTimes, before_ms: int, after_ms: int) -> bool:
    """Return whether trades may be missing between two neighbouring trades, as far as their times show.

    Args:
        gap: a gap of the same instrument.
        before_ms: time of the earlier trade, ms UTC.
        after_ms: time of the later trade, ms UTC.
    """
    return before_ms <= gap.to_traded_at and after_ms >= gap.from_traded_at


def separated(
    gaps: Iterable[GapTimes], before_ms: npt.NDArray[np.int64], after_ms: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Return `separates` for many pairs of neighbours: (n,) bool, whether any gap separates the two.

    Args:
        gaps: gaps of the same instrument.
        before_ms: (n,) int64, time of the earlier trade of each pair, ms UTC.
        after_ms: (n,) int64, time of the later trade of each pair, ms UTC.
    """
    found = np.zeros(len(before_ms), dtype=np.bool_)
    for gap in gaps:
        found |= (before_ms <= gap.to_traded_at) & (after_ms >= gap.from_traded_at)
    return found


def separated_rows(
    gap: GapTimes, traded_at_ms: npt.NDArray[np.int64], from_row: int | None, to_row: int | None
) -> range:
    """Return the rows that a gap separates from the row before them.

    Args:
        gap: a gap of the same instrument.
        traded_at_ms: (n,) int64, times of the instrument's trades in total order, ms UTC.
        from_row: row of the trade `from_trade_id`; None where that trade is not among the rows.
        to_row: row of the trade `to_trade_id`; None where that trade is not among the rows.
    """
    if from_row is not None and to_row is not None:
        return range(from_row + 1, to_row + 1)
    first = int(np.searchsorted(traded_at_ms, gap.from_traded_at, side="left"))
    last = int(np.searchsorted(traded_at_ms, gap.to_traded_at, side="right"))
    # The first row has none before it.
    return range(max(first, 1), min(last + 1, len(traded_at_ms)))


def covers(gap: GapTimes, traded_at_ms: int) -> bool:
    """Return whether a trade that is missing is explained by a gap, as far as its time shows.

    Args:
        gap: a gap of the same instrument.
        traded_at_ms: time of the missing trade, ms UTC.
    """
    return gap.from_traded_at < traded_at_ms < gap.to_traded_at

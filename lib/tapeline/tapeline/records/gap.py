"""Gap records: trades of one symbol that the exchange made and that never reached us.

Both ends of a gap are trades that we do have, so a gap claims nothing that is not missing.
"""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from tapeline import trade

_EpochMs = Annotated[int, Field(ge=trade.EARLIEST_MS, le=trade.LATEST_MS)]
_TradeId = Annotated[str, Field(pattern=trade.TRADE_ID_PATTERN)]
_KEYWORD: Final = {"type": "keyword", "ignore_above": 256}
_DATE: Final = {"type": "date", "format": "epoch_millis"}


class Gap(BaseModel):
    """Trades of one symbol between two known ones may be missing; both ends are exclusive."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    venue: str
    market_type: Literal["spot", "linear"]
    symbol: Annotated[str, Field(pattern=trade.SYMBOL_PATTERN)]
    reason: Literal["reconnect", "restart", "overflow", "stall"]
    detected_at: _EpochMs
    from_traded_at: _EpochMs
    """Time of the last trade known before the hole, or the earliest time from which nothing is known."""
    from_trade_id: _TradeId | None
    """Id of the last trade known before the hole; None where only the time is known."""
    to_traded_at: _EpochMs
    to_trade_id: _TradeId
    backfilled: Annotated[int, Field(ge=0)]
    """Trades of the same outage that REST did give back."""

    def identity(self) -> str:
        """Return the document id: one per hole, however often it is reported."""
        start = self.from_trade_id or str(self.from_traded_at)
        return f"{self.venue}|{self.market_type}|{self.symbol}|{start}|{self.to_trade_id}"


MAPPING: Final = {
    "dynamic": "strict",
    "properties": {
        "@timestamp": _DATE,
        "venue": _KEYWORD,
        "market_type": _KEYWORD,
        "symbol": _KEYWORD,
        "reason": _KEYWORD,
        "detected_at": _DATE,
        "from_traded_at": _DATE,
        "from_trade_id": _KEYWORD,
        "to_traded_at": _DATE,
        "to_trade_id": _KEYWORD,
        "backfilled": {"type": "integer"},
    },
}

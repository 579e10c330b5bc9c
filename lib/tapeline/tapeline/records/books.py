"""The two other records of the books: holes in the feed, and what could not be read.

A trade that was offered to us is in Elasticsearch or is a reject; one that never reached us lies
inside a gap. Both ends of a gap are trades we do have, so it claims nothing that is not missing.
"""

import base64
from typing import Annotated, Any, Final, Literal

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
    category: Literal["spot", "linear"]
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
        return f"{self.venue}|{self.category}|{self.symbol}|{start}|{self.to_trade_id}"


class Reject(BaseModel):
    """Something that could not be read, with its bytes and the reason."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    origin: Literal["producer", "spark", "elasticsearch"]
    reason: Annotated[str, Field(min_length=1, max_length=2000)]
    raw_base64: str
    rejected_at: _EpochMs
    category: Literal["spot", "linear"] | None = None

    @classmethod
    def of(
        cls, origin: str, reason: str, raw: bytes, rejected_at: int, category: Literal["spot", "linear"] | None = None
    ) -> "Reject":
        """Return the reject of `raw`, its bytes kept whole in base 64."""
        encoded = base64.b64encode(raw).decode("ascii")
        fields: dict[str, Any] = {"origin": origin, "reason": reason[:2000], "raw_base64": encoded}
        return cls(**fields, rejected_at=rejected_at, category=category)


GAP_MAPPING: Final = {
    "dynamic": "strict",
    "properties": {
        "@timestamp": _DATE,
        "venue": _KEYWORD,
        "category": _KEYWORD,
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
REJECT_MAPPING: Final = {
    "dynamic": "strict",
    "properties": {
        "@timestamp": _DATE,
        "origin": _KEYWORD,
        "reason": {"type": "keyword", "ignore_above": 2048},
        "raw_base64": {"type": "keyword", "index": False, "doc_values": False},
        "rejected_at": _DATE,
        "category": _KEYWORD,
        "topic": _KEYWORD,
        "partition": {"type": "integer"},
        "offset": {"type": "long"},
    },
}

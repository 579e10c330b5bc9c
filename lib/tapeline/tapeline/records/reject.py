"""Reject records: input that could not be parsed or stored, with its bytes and the reason."""

import base64
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from tapeline import trade
from tapeline.enums import MarketType

_MarketType = Annotated[MarketType, Field(strict=False)]
_EpochMs = Annotated[int, Field(ge=trade.EARLIEST_MS, le=trade.LATEST_MS)]
_KEYWORD: Final = {"type": "keyword", "ignore_above": 256}
_DATE: Final = {"type": "date", "format": "epoch_millis"}


class Reject(BaseModel):
    """Something that could not be read, with its bytes and the reason."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    origin: Literal["producer", "spark", "elasticsearch"]
    reason: Annotated[str, Field(min_length=1, max_length=2000)]
    raw_base64: str
    rejected_at: _EpochMs
    market_type: _MarketType | None = None

    @classmethod
    def from_bytes(
        cls,
        origin: str,
        reason: str,
        raw: bytes,
        rejected_at: int,
        market_type: _MarketType | None = None,
    ) -> "Reject":
        """Return the reject of `raw`, its bytes kept whole in base 64."""
        encoded = base64.b64encode(raw).decode("ascii")
        fields: dict[str, Any] = {"origin": origin, "reason": reason[:2000], "raw_base64": encoded}
        return cls(**fields, rejected_at=rejected_at, market_type=market_type)


MAPPING: Final = {
    "dynamic": "strict",
    "properties": {
        "@timestamp": _DATE,
        "origin": _KEYWORD,
        "reason": {"type": "keyword", "ignore_above": 2048},
        "raw_base64": {"type": "keyword", "index": False, "doc_values": False},
        "rejected_at": _DATE,
        "market_type": _KEYWORD,
        "topic": _KEYWORD,
        "partition": {"type": "integer"},
        "offset": {"type": "long"},
    },
}

"""Reject records: input that could not be parsed or stored, with its bytes and the reason."""

import base64
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from tapeline.records.fields import EpochMs, MarketType
from tapeline.records.mapping_types import DATE, KEYWORD


class Reject(BaseModel):
    """Something that could not be read, with its bytes and the reason."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    origin: Literal["producer", "spark", "elasticsearch"]
    reason: Annotated[str, Field(min_length=1, max_length=2000)]
    raw_base64: str
    rejected_at: EpochMs
    market_type: MarketType | None = None

    @classmethod
    def from_bytes(
        cls,
        origin: str,
        reason: str,
        raw: bytes,
        rejected_at: int,
        market_type: MarketType | None = None,
    ) -> "Reject":
        """Return the reject of `raw`, its bytes kept whole in base 64."""
        encoded = base64.b64encode(raw).decode("ascii")
        fields: dict[str, Any] = {"origin": origin, "reason": reason[:2000], "raw_base64": encoded}
        return cls(**fields, rejected_at=rejected_at, market_type=market_type)


MAPPING: Final = {
    "dynamic": "strict",
    "properties": {
        "@timestamp": DATE,
        "origin": KEYWORD,
        "reason": {"type": "keyword", "ignore_above": 2048},
        "raw_base64": {"type": "keyword", "index": False, "doc_values": False},
        "rejected_at": DATE,
        "market_type": KEYWORD,
        "topic": KEYWORD,
        "partition": {"type": "integer"},
        "offset": {"type": "long"},
    },
}

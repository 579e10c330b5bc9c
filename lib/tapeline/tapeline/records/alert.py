"""Something that a rule found: on names.TOPIC_ALERTS for the notifier, in names.INDEX_ALERTS for people."""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from tapeline.enums import AlertKind, Severity
from tapeline.instrument import SYMBOL_PATTERN
from tapeline.records.fields import EpochMs, MarketType
from tapeline.records.mapping_types import DATE, DOUBLE, KEYWORD


class Alert(BaseModel):
    """One finding of one rule."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    alert_id: Annotated[str, Field(min_length=1, max_length=512)]
    """`rule|subject|began_at`: the same finding always has the same, so that it is stored and sent once."""
    rule: Annotated[str, Field(min_length=1, max_length=64)]
    """Its name in the configuration."""
    kind: Annotated[AlertKind, Field(strict=False)]
    severity: Annotated[Severity, Field(strict=False)]
    venue: str
    market_type: MarketType | None = None
    symbol: Annotated[str, Field(pattern=SYMBOL_PATTERN)] | None = None
    """None where it is about a model."""
    model_digest: str | None = None
    value: float | None = None
    """What was measured, in `unit`."""
    threshold: float | None = None
    """What the rule allows, in `unit`."""
    unit: Literal["bp", "ratio", "s", "trades", "brier"] | None = None
    message: Annotated[str, Field(min_length=1, max_length=1000)]
    """A sentence for a person."""
    began_at: EpochMs
    """What it is about began, by the trades' own time."""
    raised_at: EpochMs
    """By our clock."""


MAPPING: Final[dict[str, Any]] = {
    "dynamic": "strict",
    "properties": {
        # began_at
        "@timestamp": DATE,
        **dict.fromkeys(("alert_id", "rule", "kind", "severity", "venue", "market_type", "symbol"), KEYWORD),
        **dict.fromkeys(("model_digest", "unit"), KEYWORD),
        **dict.fromkeys(("value", "threshold"), DOUBLE),
        "message": {"type": "keyword", "ignore_above": 1024},
        **dict.fromkeys(("began_at", "raised_at"), DATE),
    },
}

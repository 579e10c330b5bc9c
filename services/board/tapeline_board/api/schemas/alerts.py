"""Schemas of gaps in the feed and of alerts."""

from typing import Literal

from tapeline_board.api.schemas.common import ApiModel, MarketType


class GapRow(ApiModel):
    """One gap: trades between two known trades may be missing, both ends exclusive."""

    market_type: MarketType
    symbol: str
    reason: Literal["reconnect", "restart", "overflow", "stall"]
    detected_at: int
    from_traded_at: int
    to_traded_at: int
    backfilled: int


class GapsResponse(ApiModel):
    """GET /api/gaps: gaps that overlap the span, newest first."""

    gaps: list[GapRow]
    is_truncated: bool


class AlertRow(ApiModel):
    """One alert of one rule; fields as in tapeline.records.alert."""

    alert_id: str
    rule: str
    kind: Literal["price_move", "volume_burst", "silent_symbol", "feed_gap", "model_below_prior", "model_expired"]
    severity: Literal["info", "warning", "critical"]
    market_type: MarketType | None
    symbol: str | None
    model_digest: str | None
    value: float | None
    threshold: float | None
    unit: str | None
    message: str
    began_at: int
    raised_at: int


class AlertsResponse(ApiModel):
    """GET /api/alerts and event `alerts`: newest first."""

    alerts: list[AlertRow]
    is_truncated: bool

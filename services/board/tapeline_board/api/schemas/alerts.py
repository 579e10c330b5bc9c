"""Schemas of gaps in the feed and of alerts."""

from tapeline.enums import AlertKind, GapReason, MarketType, Severity

from tapeline_board.api.schemas.common import ApiModel, InstrumentRow


class GapRow(InstrumentRow):
    """One gap: trades between two known trades may be missing, both ends exclusive."""

    reason: GapReason
    detected_at: int
    from_traded_at: int
    to_traded_at: int
    backfilled: int


class GapsResponse(ApiModel):
    """GET /api/gaps: gaps that touch the span, newest first."""

    gaps: list[GapRow]
    is_truncated: bool


class AlertRow(ApiModel):
    """One alert of one rule; fields as in tapeline.records.alert."""

    alert_id: str
    rule: str
    kind: AlertKind
    severity: Severity
    venue: str
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

"""Schemas of reconciliation: counts of the same trades by stage, by minute and by instrument."""

from typing import Literal

from tapeline.enums import ReconciliationState

from tapeline_board.api.schemas.common import ApiModel, Count, InstrumentRow


class StageCounts(ApiModel):
    """Counts of the same trades at each stage."""

    state: ReconciliationState
    """The worst state: incomplete, gap, open, complete."""
    received: Count
    produced: Count
    logged: Count
    distinct: Count
    indexed: Count
    rejected: Count
    gaps: Count


class ReconciliationMinute(StageCounts):
    """One minute, all instruments."""

    at: int
    symbols: Count


class ReconciliationSymbol(StageCounts, InstrumentRow):
    """One instrument, all minutes."""

    minutes: Count
    not_complete: Count
    """Minutes that are neither complete nor open."""


class ReconciliationResponse(ApiModel):
    """GET /api/reconciliation and event `reconciliation`."""

    from_at: int
    to_at: int
    is_reconciled: bool
    """Every minute is complete, except the newest ones that are still open, and the newest minute is not old."""
    reasons: list[Literal["nothing", "stale", "overdue", "incomplete", "gap", "rejects"]]
    """Why not: the span has no minutes; the newest minute is old; a minute is open for too long; the counts of the
    stages differ; trades are missing; input could not be parsed."""
    rejects: Count
    """Of the span, rejects without a symbol included."""
    minutes: list[ReconciliationMinute]
    """Oldest first; a minute without trades has no row."""
    symbols: list[ReconciliationSymbol]
    """The worst state first, then by name."""
    is_truncated: bool

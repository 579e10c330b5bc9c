"""What the page is told of the model, of the books and of alerts; rules of schemas.py.

To add a field: add it here, fill it in where the answer is read (model.py, completeness.py, records.py).
"""

from typing import Literal

from tapeline_board.api.schemas.market import (
    Count,
    MarketType,
    PredictionState,
    Share,
    Told,
)

BookState = Literal["open", "complete", "gap", "incomplete"]


class ServedModel(Told):
    """What the inference service answers with now."""

    model_digest: str
    kind: str
    created_at: int
    expires_at: int
    is_expired: bool
    feature_version: str
    label_version: str
    threshold: float


class CalibrationBin(Told):
    """Predictions of like probability, and how often the price rose."""

    from_probability: float
    to_probability: float
    predictions: Count
    mean_probability: Share | None
    up_share: Share | None


class Score(Told):
    """How the predictions of one model turned out, of all symbols or of one."""

    model_digest: str
    market_type: MarketType | None = None
    symbol: str | None = None
    """Null: all symbols together."""
    predictions: Count
    """Scored."""
    pending: Count
    """No different price has followed yet."""
    hit_rate: Share | None
    rule_hit_rate: Share | None
    """Of the simple rule: a bought trade is followed by a higher price."""
    base_rate: Share | None
    """Share of higher prices."""
    brier: float | None
    prior_brier: float | None
    """Of always saying the base rate of its training."""
    skill: float | None
    """1 - brier / prior_brier: above 0 is better than the prior."""


class ModelScores(Told):
    """One model in the last hour."""

    total: Score
    symbols: list[Score]
    """Most predictions first."""
    bins: list[CalibrationBin]


class Verdict(Told):
    """One training run."""

    run_id: str
    judged_at: int
    digest: str | None
    parent_digest: str | None
    promoted: bool
    promoted_kind: str | None
    rollout: str | None
    reasons: list[str]
    rows_train: int | None
    rows_test: int | None
    auc: float | None
    mcc: float | None
    brier: float | None
    base_rate: float | None
    brier_skill_vs_prior: float | None
    brier_skill_vs_rule: float | None


class ModelAnswer(Told):
    """GET /api/model and event `model`."""

    from_at: int
    to_at: int
    served: ServedModel | None
    served_reason: str | None
    """Why `served` is null: no model yet, or the inference service is away."""
    states: dict[PredictionState, int]
    """Trades of the last minutes by prediction state."""
    scores: list[ModelScores]
    """Most predictions first."""
    verdicts: list[Verdict]
    """Newest first."""


class BookSums(Told):
    """What each hand counted of the same trades; null where nobody told."""

    state: BookState
    """The worst: incomplete, gap, open, complete."""
    received: Count
    produced: Count
    logged: Count
    distinct: Count
    indexed: Count
    rejected: Count
    gaps: Count


class BookMinute(BookSums):
    """One minute, all symbols."""

    at: int
    symbols: Count


class BookSymbol(BookSums):
    """One symbol, all minutes."""

    market_type: MarketType
    symbol: str
    minutes: Count
    not_complete: Count
    """Minutes that are neither complete nor open."""


class CompletenessAnswer(Told):
    """GET /api/completeness and event `completeness`."""

    from_at: int
    to_at: int
    is_balanced: bool
    """Green: every minute is complete, but for the newest that are still open, and the newest is not old."""
    reasons: list[Literal["nothing", "stale", "overdue", "incomplete", "gap", "rejects"]]
    """Why not: nothing is known of the span; the newest minute is old; a minute is open for long; hands disagree; the
    feed had a hole; something could not be read."""
    rejects: Count
    """Of the span, those without a symbol too."""
    minutes: list[BookMinute]
    """Oldest first; a minute without any trade is not here."""
    symbols: list[BookSymbol]
    """The worst first, then by name."""
    is_cut: bool


class GapRow(Told):
    """One hole in the feed: trades between two known ones may be missing, both ends exclusive."""

    market_type: MarketType
    symbol: str
    reason: Literal["reconnect", "restart", "overflow", "stall"]
    detected_at: int
    from_traded_at: int
    to_traded_at: int
    backfilled: int


class GapsAnswer(Told):
    """GET /api/gaps: those that touch the span, newest first."""

    gaps: list[GapRow]
    is_cut: bool


class AlertRow(Told):
    """One finding of one rule; fields as in tapeline.alert."""

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


class AlertsAnswer(Told):
    """GET /api/alerts and event `alerts`: newest first."""

    alerts: list[AlertRow]
    is_cut: bool

"""Schemas of the served model, of its scores and of training runs."""

from tapeline.enums import MarketType, PredictionState

from tapeline_board.api.schemas.common import ApiModel, Count, Share


class ServedModel(ApiModel):
    """The model that the inference service serves now."""

    model_digest: str
    kind: str
    created_at: int
    expires_at: int
    is_expired: bool
    feature_version: str
    label_version: str
    threshold: float


class CalibrationBin(ApiModel):
    """Predictions of similar probability, and how often the price rose."""

    from_probability: float
    to_probability: float
    predictions: Count
    mean_probability: Share | None
    up_share: Share | None


class Score(ApiModel):
    """Outcomes of the predictions of one model, of all instruments or of one."""

    model_digest: str
    venue: str | None = None
    """Null, as are market type and symbol: all instruments together."""
    market_type: MarketType | None = None
    symbol: str | None = None
    predictions: Count
    """Scored."""
    pending: Count
    """No different price has followed yet."""
    hit_rate: Share | None
    rule_hit_rate: Share | None
    """Of the simple rule: a higher price follows a buy."""
    base_rate: Share | None
    """Share of higher prices."""
    brier: float | None
    prior_brier: float | None
    """Of a constant prediction: the base rate of the training data."""
    skill: float | None
    """1 - brier / prior_brier: above 0 is better than the prior."""


class ModelScores(ApiModel):
    """Scores of one model in the last hour."""

    total: Score
    symbols: list[Score]
    """Most predictions first."""
    bins: list[CalibrationBin]


class TrainingRun(ApiModel):
    """One training run and its outcome."""

    run_id: str
    evaluated_at: int
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


class ModelResponse(ApiModel):
    """GET /api/model and event `model`."""

    from_at: int
    to_at: int
    served: ServedModel | None
    served_reason: str | None
    """Why `served` is null: no model yet, or the inference service is unavailable."""
    states: dict[PredictionState, int]
    """Trades of the last minutes by prediction state."""
    scores: list[ModelScores]
    """Most predictions first."""
    training_runs: list[TrainingRun]
    """Newest first."""

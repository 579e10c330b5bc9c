"""The words that records, schemas, mappings, charts and the board's page share: each value is written here, once.

To add a value: add a member. pydantic, msgspec, the Spark schema and the page's types are made from these classes.
"""

from enum import StrEnum


class Side(StrEnum):
    """Side of the taker."""

    BUY = "Buy"
    SELL = "Sell"


class MarketType(StrEnum):
    """What is traded: coins, or futures settled in the quote asset (linear) or in the base asset (inverse)."""

    SPOT = "spot"
    LINEAR = "linear"
    INVERSE = "inverse"


class TradeSource(StrEnum):
    """How a trade reached the producer."""

    STREAM = "stream"
    BACKFILL = "backfill"


class QuantityUnit(StrEnum):
    """What the venue counts a trade's quantity in."""

    BASE = "base"
    QUOTE = "quote"
    CONTRACT = "contract"


class PredictionState(StrEnum):
    """Why a trade has a probability (`ok`), or why it has none."""

    OK = "ok"
    WARMING_UP = "warming_up"
    LATE = "late"
    MODEL_UNAVAILABLE = "model_unavailable"
    MODEL_EXPIRED = "model_expired"
    INVALID_FEATURES = "invalid_features"


class GapReason(StrEnum):
    """What interrupted the feed."""

    RECONNECT = "reconnect"
    RESTART = "restart"
    OVERFLOW = "overflow"
    STALL = "stall"


class AlertKind(StrEnum):
    """What an alert rule looks for."""

    PRICE_MOVE = "price_move"
    VOLUME_BURST = "volume_burst"
    SILENT_SYMBOL = "silent_symbol"
    FEED_GAP = "feed_gap"
    MODEL_BELOW_PRIOR = "model_below_prior"
    MODEL_EXPIRED = "model_expired"


class Severity(StrEnum):
    """How urgent an alert is, ascending."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class ReconciliationState(StrEnum):
    """Whether the counts of a minute agree.

    `open`: the minute or one of its stages is not done. `complete`: all stages counted the same. `gap`: they agree, and
    the feed had a gap. `incomplete`: they do not agree, or something was rejected.
    """

    OPEN = "open"
    COMPLETE = "complete"
    GAP = "gap"
    INCOMPLETE = "incomplete"

"""Every name that two parts of Tapeline must agree on.

Nothing else decides a topic, an index, a state or an identity.
To add a name: add it here, and to docs/architecture.md.
"""

import re
from datetime import UTC, datetime
from typing import Final

VENUE: Final = "bybit"
CATEGORIES: Final = ("spot", "linear")

TOPIC_TRADES: Final = "bybit-trades"
TOPIC_GAPS: Final = "trade-gaps"
TOPIC_REJECTS: Final = "trade-rejects"

# Java's default hash of the key, so that JVM and librdkafka producers agree on a symbol's partition.
PARTITIONER: Final = "murmur2_random"

INDEX_TRADES_PREFIX: Final = "tapeline-trades-"
INDEX_GAPS: Final = "tapeline-gaps"
INDEX_REJECTS: Final = "tapeline-rejects"
INDEX_MODELS: Final = "tapeline-models"

STATE_OK: Final = "ok"
STATE_WARMING_UP: Final = "warming_up"
STATE_LATE: Final = "late"
STATE_MODEL_UNAVAILABLE: Final = "model_unavailable"
STATE_MODEL_EXPIRED: Final = "model_expired"
STATE_INVALID_FEATURES: Final = "invalid_features"
PREDICTION_STATES: Final = (
    STATE_OK,
    STATE_WARMING_UP,
    STATE_LATE,
    STATE_MODEL_UNAVAILABLE,
    STATE_MODEL_EXPIRED,
    STATE_INVALID_FEATURES,
)

SOURCE_STREAM: Final = "stream"
SOURCE_BACKFILL: Final = "backfill"

MEDIA_TYPE_ARROW: Final = "application/vnd.apache.arrow.stream"

_PLAIN_PART = re.compile(r"[^|\x00-\x20\x7f]+")


def identity(venue: str, category: str, symbol: str, trade_id: str) -> str:
    """Return the one identity of a trade, `venue|category|symbol|trade_id`.

    Raises:
        ValueError: a part is empty or holds `|`, white space or a control character.
    """
    for part in (venue, category, symbol, trade_id):
        if not _PLAIN_PART.fullmatch(part):
            raise ValueError(
                f"part of a trade identity was {part!r}; it must be non-empty "
                "and free of '|', white space and control characters"
            )
    return f"{venue}|{category}|{symbol}|{trade_id}"


def index_for_trade(traded_at_ms: int) -> str:
    """Return the daily index of a trade: the UTC day of its own time, never of its arrival.

    Args:
        traded_at_ms: milliseconds since 1970-01-01 UTC.
    """
    day = datetime.fromtimestamp(traded_at_ms // 1000, tz=UTC)
    return f"{INDEX_TRADES_PREFIX}{day:%Y.%m.%d}"

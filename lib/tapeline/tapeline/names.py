"""Every name that two parts of Tapeline must agree on.

Nothing else decides a topic, an index, a state or an identity.
To add a name: add it here, and to docs/architecture.md.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

VENUE: Final = "bybit"

TOPIC_TRADES: Final = "bybit-trades"
TOPIC_GAPS: Final = "trade-gaps"
TOPIC_REJECTS: Final = "trade-rejects"
TOPIC_ALERTS: Final = "trade-alerts"
# What each producer counted, by instrument and minute; the stream compares these counts with its own.
TOPIC_COUNTS: Final = "trade-counts"
# Empty: its partitions stand for shares of the symbols, which the producers' group deals out among its members.
TOPIC_SHARDS: Final = "producer-shards"

# Consumer groups; the names are what a broker's access rules are written for. Only the producers' own group
# commits anything, and no offsets: a note at each partition of the assignments, of who has taken it over.
GROUP_PRODUCER: Final = "tapeline-producer"
GROUP_RESUME: Final = "tapeline-producer-resume"
GROUP_LOOKBACK: Final = "tapeline-lookback"
GROUP_NOTIFIER: Final = "tapeline-notifier"
# Spark makes a group of its own for every query, behind this prefix.
GROUP_STREAM_PREFIX: Final = "spark-kafka-source"

# Java's default hash of the key, so that JVM and librdkafka producers agree on a symbol's partition.
PARTITIONER: Final = "murmur2_random"

INDEX_TRADES_PREFIX: Final = "tapeline-trades-"
INDEX_GAPS: Final = "tapeline-gaps"
INDEX_REJECTS: Final = "tapeline-rejects"
INDEX_MODELS: Final = "tapeline-models"
INDEX_CANDLES_PREFIX: Final = "tapeline-candles-1m-"
INDEX_SCORES_PREFIX: Final = "tapeline-scores-"
INDEX_RECONCILIATION_PREFIX: Final = "tapeline-reconciliation-"
INDEX_ALERTS: Final = "tapeline-alerts"
LIFECYCLE_TRADES: Final = "tapeline-trades"

MEDIA_TYPE_ARROW: Final = "application/vnd.apache.arrow.stream"

_PLAIN = r"[^|\x00-\x20\x7f]+"
_IDENTITY = re.compile(rf"{_PLAIN}\|{_PLAIN}\|{_PLAIN}\|{_PLAIN}")
_DAY_S: Final = 86_400


def identity(venue: str, market_type: str, symbol: str, trade_id: str) -> str:
    """Return the one identity of a trade, `venue|market_type|symbol|trade_id`.

    Raises:
        ValueError: a part is empty or holds `|`, white space or a control character.
    """
    text = f"{venue}|{market_type}|{symbol}|{trade_id}"
    if not _IDENTITY.fullmatch(text):
        raise ValueError(
            f"parts of a trade identity were {(venue, market_type, symbol, trade_id)}; each must be non-empty "
            "and free of '|', white space and control characters"
        )
    return text


def index_for_trade(traded_at_ms: int) -> str:
    """Return the daily index of a trade: the UTC day of its own time, never of its arrival.

    Args:
        traded_at_ms: milliseconds since 1970-01-01 UTC.
    """
    return _index_of_day(traded_at_ms // 1000 // _DAY_S)


def monthly_index(prefix: str, at_ms: int) -> str:
    """Return the monthly index of what happened at some time: UTC, of its own time, never of its arrival.

    Args:
        prefix: such as INDEX_CANDLES_PREFIX.
        at_ms: milliseconds since 1970-01-01 UTC.
    """
    return f"{prefix}{_month(at_ms // 1000 // _DAY_S)}"


@lru_cache(maxsize=64)
def _month(day_number: int) -> str:
    return f"{datetime.fromtimestamp(day_number * _DAY_S, tz=UTC):%Y.%m}"


@lru_cache(maxsize=64)
def _index_of_day(number: int) -> str:
    day = datetime.fromtimestamp(number * _DAY_S, tz=UTC)
    return f"{INDEX_TRADES_PREFIX}{day:%Y.%m.%d}"

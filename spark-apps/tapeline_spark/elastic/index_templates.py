"""Index templates and retention policy as data. Pure; sink.py writes them."""

from typing import Any, Final

from tapeline import names, trade
from tapeline.records import (
    alert,
    candle,
    gap,
    reconciliation,
    reject,
    score,
)

PRIORITY: Final = 500


def templates(replicas: int, refresh_interval: str, with_retention: bool = False) -> dict[str, dict[str, Any]]:
    """Return every index template by name.

    Args:
        replicas: number of replicas of each index.
        refresh_interval: Elasticsearch's notation, such as "1s".
        with_retention: attach the policy of `lifecycle` to the indices of trades.
    """
    settings = {
        "number_of_shards": 1,
        "number_of_replicas": replicas,
        "refresh_interval": refresh_interval,
        "codec": "best_compression",
    }

    def template(pattern: str, mapping: dict[str, Any], **more: Any) -> dict[str, Any]:
        body = {"settings": {"index": settings | more}, "mappings": mapping}
        return {"index_patterns": [pattern], "priority": PRIORITY, "template": body}

    retention = {"lifecycle": {"name": names.LIFECYCLE_TRADES}} if with_retention else {}
    return {
        "tapeline-trades": template(f"{names.INDEX_TRADES_PREFIX}*", trade.elastic_mapping(), **retention),
        names.INDEX_GAPS: template(names.INDEX_GAPS, gap.MAPPING),
        names.INDEX_REJECTS: template(names.INDEX_REJECTS, reject.MAPPING),
        "tapeline-candles": template(f"{names.INDEX_CANDLES_PREFIX}*", candle.MAPPING),
        "tapeline-scores": template(f"{names.INDEX_SCORES_PREFIX}*", score.MAPPING),
        "tapeline-reconciliation": template(f"{names.INDEX_RECONCILIATION_PREFIX}*", reconciliation.MAPPING),
        names.INDEX_ALERTS: template(names.INDEX_ALERTS, alert.MAPPING),
    }


def lifecycle(retention_days: int) -> dict[str, Any]:
    """Return the policy that deletes an index `retention_days` after its creation."""
    return {
        "phases": {
            "hot": {"min_age": "0ms", "actions": {}},
            "delete": {"min_age": f"{retention_days}d", "actions": {"delete": {}}},
        }
    }


def differing_fields(actual: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Return the names of the wanted fields that are missing or different; additional fields are ignored.

    Args:
        actual: mapping of the stored template.
        wanted: mapping of the same template in this version.
    """
    fields = actual.get("properties", {})
    absent = [name for name, field in wanted["properties"].items() if fields.get(name) != field]
    return absent if actual.get("dynamic") == wanted["dynamic"] else ["dynamic", *absent]

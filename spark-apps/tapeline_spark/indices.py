"""The index templates of the platform, as data. Pure; elastic.py puts them in place."""

from typing import Any, Final

from tapeline import books, names, trade

PRIORITY: Final = 500


def templates(replicas: int, refresh_interval: str) -> dict[str, dict[str, Any]]:
    """Return every index template by name.

    Args:
        replicas: copies of each shard beside the first.
        refresh_interval: Elasticsearch's notation, such as "1s".
    """
    settings = {
        "number_of_shards": 1,
        "number_of_replicas": replicas,
        "refresh_interval": refresh_interval,
        "codec": "best_compression",
    }

    def template(pattern: str, mapping: dict[str, Any]) -> dict[str, Any]:
        body = {"settings": {"index": settings}, "mappings": mapping}
        return {"index_patterns": [pattern], "priority": PRIORITY, "template": body}

    return {
        "tapeline-trades": template(f"{names.INDEX_TRADES_PREFIX}*", trade.elastic_mapping()),
        names.INDEX_GAPS: template(names.INDEX_GAPS, books.GAP_MAPPING),
        names.INDEX_REJECTS: template(names.INDEX_REJECTS, books.REJECT_MAPPING),
    }

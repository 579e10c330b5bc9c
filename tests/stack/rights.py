"""What each client of Kafka and Elasticsearch is allowed: test_access.py lets them work with exactly this.

In the shapes of Strimzi's KafkaUser and of Elasticsearch's roles, for the charts to say the same.
"""

from collections.abc import Iterator
from typing import Any, Final

from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, ResourcePatternType, ResourceType
from tapeline import names


def _topic(name: str, *operations: str) -> dict[str, Any]:
    return {"resource": {"type": "topic", "name": name, "patternType": "literal"}, "operations": list(operations)}


def _group(name: str, pattern: str = "literal") -> dict[str, Any]:
    return {"resource": {"type": "group", "name": name, "patternType": pattern}, "operations": ["Read"]}


KAFKA: Final[dict[str, list[dict[str, Any]]]] = {
    "tapeline-producer": [
        # It reads the end of its own topic at start: the log is its only memory.
        _topic(names.TOPIC_TRADES, "Describe", "Read", "Write"),
        _topic(names.TOPIC_GAPS, "Describe", "Write"),
        _topic(names.TOPIC_REJECTS, "Describe", "Write"),
        _topic(names.TOPIC_COUNTS, "Describe", "Write"),
        _group(names.GROUP_RESUME),
        # With PRODUCER_GROUP only: replicas share the symbols.
        _topic(names.TOPIC_SHARDS, "Describe", "Read"),
        _group(names.GROUP_PRODUCER),
    ],
    "tapeline-spark": [
        _topic(names.TOPIC_TRADES, "Describe", "Read"),
        _topic(names.TOPIC_GAPS, "Describe", "Read"),
        _topic(names.TOPIC_REJECTS, "Describe", "Read"),
        _topic(names.TOPIC_COUNTS, "Describe", "Read"),
        _topic(names.TOPIC_ALERTS, "Describe", "Write"),
        _group(names.GROUP_STREAM_PREFIX, "prefix"),
        _group(names.GROUP_LOOKBACK),
    ],
    "tapeline-notifier": [
        _topic(names.TOPIC_ALERTS, "Describe", "Read"),
        _group(names.GROUP_NOTIFIER),
    ],
}

ELASTICSEARCH: Final[dict[str, dict[str, Any]]] = {
    "tapeline-es-writer": {
        # `monitor` reads the templates; the day's index is made from one by whoever writes to it first.
        "cluster": ["monitor"],
        "indices": [
            {
                "names": [names.INDEX_GAPS, names.INDEX_REJECTS, names.INDEX_ALERTS],
                "privileges": ["create_doc", "create_index", "view_index_metadata"],
            },
            # It counts what is stored, and compares predictions with what came.
            {
                "names": [f"{names.INDEX_TRADES_PREFIX}*"],
                "privileges": ["create_doc", "create_index", "view_index_metadata", "read"],
            },
            # Made from the trades, and written over whenever those say more.
            {
                "names": [
                    f"{names.INDEX_CANDLES_PREFIX}*",
                    f"{names.INDEX_SCORES_PREFIX}*",
                    f"{names.INDEX_RECONCILIATION_PREFIX}*",
                ],
                "privileges": ["index", "create_index", "view_index_metadata"],
            },
            # A model's record, and closed minutes that a gap touches later.
            {
                "names": [f"{names.INDEX_SCORES_PREFIX}*", f"{names.INDEX_RECONCILIATION_PREFIX}*"],
                "privileges": ["read"],
            },
            # Which prior a model was judged against.
            {"names": [names.INDEX_MODELS], "privileges": ["read"]},
        ],
    },
    "tapeline-es-trainer": {
        "indices": [
            # Without the gaps it would be given none, silently, and train across them.
            {
                "names": [f"{names.INDEX_TRADES_PREFIX}*", names.INDEX_GAPS],
                "privileges": ["read", "view_index_metadata"],
            },
            {"names": [names.INDEX_MODELS], "privileges": ["create_doc", "create_index", "view_index_metadata"]},
        ],
    },
    "tapeline-es-board": {
        "indices": [
            {
                "names": [
                    *(f"{names.INDEX_TRADES_PREFIX}*", names.INDEX_GAPS, names.INDEX_REJECTS),
                    *(names.INDEX_ALERTS, names.INDEX_MODELS),
                ],
                "privileges": ["read"],
            },
            # Made from the trades.
            {
                "names": [
                    f"{names.INDEX_CANDLES_PREFIX}*",
                    f"{names.INDEX_SCORES_PREFIX}*",
                    f"{names.INDEX_RECONCILIATION_PREFIX}*",
                ],
                "privileges": ["read"],
            },
        ]
    },
    "tapeline-es-bootstrap": {
        "cluster": ["manage_index_templates", "manage_ilm"],
        "indices": [{"names": ["tapeline-*"], "privileges": ["indices:admin/mapping/put"]}],
    },
    "tapeline-es-dashboards": {
        "applications": [
            {
                "application": "kibana-.kibana",
                "privileges": ["feature_savedObjectsManagement.all"],
                "resources": ["space:default"],
            }
        ],
    },
}


def bindings(user: str, rules: list[dict[str, Any]]) -> Iterator[AclBinding]:
    """Yield a user's rules as Kafka's own client takes them."""
    patterns = {"literal": ResourcePatternType.LITERAL, "prefix": ResourcePatternType.PREFIXED}
    for rule in rules:
        resource = rule["resource"]
        kind, pattern = ResourceType[resource["type"].upper()], patterns[resource["patternType"]]
        for operation in rule["operations"]:
            allowed = AclOperation[operation.upper()]
            yield AclBinding(kind, resource["name"], pattern, f"User:{user}", "*", allowed, AclPermissionType.ALLOW)

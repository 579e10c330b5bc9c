"""Builds the Elasticsearch request of a panel and parses the response, from the same source as Lens. Pure.

Lens builds its requests in the browser. This module builds equivalent requests, so that tests can run them on a real
Elasticsearch and compare the numbers. A market is queried field by field, in nested buckets, and joined here: Lens
uses `multi_terms`, which the reduced servers of local stacks lack.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

from tapeline_dashboards import columns
from tapeline_dashboards.source import LensPanel, List, Number, Terms, Time, Value, Where
from tapeline_dashboards.views import DataView

Row = dict[str, Any]
_ORDER_KEY: Final = "order"
# Above the number of markets; the top buckets of a panel are selected from the response.
_MAX_BUCKETS: Final = 10_000
_AGGREGATIONS: Final = {
    "average": "avg",
    "sum": "sum",
    "min": "min",
    "max": "max",
    "unique": "cardinality",
    "median": "percentiles",
    "percentile": "percentiles",
}


@dataclass(frozen=True)
class TimeRange:
    """The time range of a request.

    Attributes:
        from_ms: start, ms UTC, inclusive.
        to_ms: end, ms UTC, exclusive.
        interval: the interval of `auto`, such as "1m".
    """

    from_ms: int
    to_ms: int
    interval: str = "1m"

    def filter(self) -> dict[str, Any]:
        """Return the range query."""
        limits = {"gte": self.from_ms, "lt": self.to_ms, "format": "epoch_millis"}
        return {"range": {"@timestamp": limits}}


def conditions(where: Where) -> list[dict[str, Any]]:
    """Return conditions as Elasticsearch filters."""
    return [{"exists": {"field": name}} if value == "*" else {"term": {name: value}} for name, value in where.items()]


def panel_request(panel: LensPanel, view: DataView, time_range: TimeRange) -> dict[str, Any]:
    """Return the search body for all numbers of a panel."""
    aggs: dict[str, Any] = {}
    for number, value in enumerate(panel.values):
        aggs |= {f"{columns.value_id(number)}.{n}": _filter_aggregation(part) for n, part in enumerate(value.parts)}
    for number, bucket in reversed(list(enumerate(panel.buckets))):
        aggs = _bucket_aggregation(number, bucket, panel, view, time_range, aggs)
    return {"size": 0, "query": {"bool": {"filter": [time_range.filter(), *conditions(panel.where)]}}, "aggs": aggs}


def list_request(panel: List, time_range: TimeRange, size: int = 100) -> dict[str, Any]:
    """Return the search body of a list panel."""
    query = {"bool": {"filter": [time_range.filter()]}}
    return {"size": size, "query": query, "sort": [{"@timestamp": "desc"}], "_source": list(panel.columns)}


def vega_request(body: dict[str, Any], time_range: TimeRange) -> dict[str, Any]:
    """Return the body of a Vega request with the placeholders replaced that Kibana replaces."""
    text = json.dumps(body)
    found = json.loads(text, object_hook=lambda each: time_range.interval if "%autointerval%" in each else each)
    return {**found, "query": {"bool": {"filter": [time_range.filter()]}}}


def _filter_aggregation(number: Number) -> dict[str, Any]:
    body: dict[str, Any] = {"field": number.field}
    if number.kind == "median":
        body["percents"] = [50]
    elif number.percentile is not None:
        body["percents"] = [number.percentile.at]
    inside = {} if number.kind == "count" else {"value": {_AGGREGATIONS[number.kind]: body}}
    return {"filter": {"bool": {"filter": conditions(number.where)}}, **({"aggs": inside} if inside else {})}


def _bucket_aggregation(
    number: int, bucket: Terms | Time, panel: LensPanel, view: DataView, time_range: TimeRange, aggs: Row
) -> Row:
    name = columns.bucket_id(number)
    if isinstance(bucket, Time):
        interval = time_range.interval if bucket.time == "auto" else bucket.time
        histogram = {"field": "@timestamp", "fixed_interval": interval, "min_doc_count": 1}
        return {name: {"date_histogram": histogram, "aggs": aggs}}
    if isinstance(bucket.order, Number):
        aggs = aggs | {_ORDER_KEY: _filter_aggregation(bucket.order)}
    elif (found := _value_named(bucket.order, panel)) is not None:
        # In nested buckets the value of the outer bucket needs an aggregation of its own.
        aggs = aggs | {_ORDER_KEY: _filter_aggregation(found)}
    for part, field in reversed(list(enumerate(columns.fields_of(bucket, view)))):
        aggs = {f"{name}.{part}": {"terms": {"field": field, "size": _MAX_BUCKETS}, "aggs": aggs}}
    return aggs


def _value_named(order: str, panel: LensPanel) -> Value | None:
    return next((value for value in panel.values if value.name == order), None)


def rows(panel: LensPanel, view: DataView, response: dict[str, Any]) -> list[Row]:
    """Return the numbers of a panel, one row per innermost bucket.

    A row maps bucket names to keys (a market as "bybit › spot › BTCUSDT", a time in ms UTC) and value names to values;
    None where a value has no data.
    """
    return _walk(panel, view, response["aggregations"], 0, {})


def _walk(panel: LensPanel, view: DataView, found: dict[str, Any], depth: int, keys: Row) -> list[Row]:
    if depth == len(panel.buckets):
        return [keys | {value.name: _value_of(n, value, found) for n, value in enumerate(panel.values)}]
    bucket, name = panel.buckets[depth], columns.bucket_id(depth)
    if isinstance(bucket, Time):
        inside = [(each["key"], each) for each in found[name]["buckets"]]
    else:
        inside = _top_buckets(bucket, _flatten(found, name, len(columns.fields_of(bucket, view))))
    label = "Time" if isinstance(bucket, Time) else bucket.name or bucket.terms
    return [row for key, each in inside for row in _walk(panel, view, each, depth + 1, keys | {label: key})]


def _flatten(found: dict[str, Any], name: str, parts: int) -> list[tuple[Any, dict[str, Any]]]:
    """Return (key, bucket) of buckets nested field by field."""
    level: list[tuple[tuple[Any, ...], dict[str, Any]]] = [((), found)]
    for part in range(parts):
        level = [
            ((*keys, each.get("key_as_string", each["key"])), each)
            for keys, outer in level
            for each in outer[f"{name}.{part}"]["buckets"]
        ]
    return [(keys[0] if parts == 1 else " › ".join(map(str, keys)), each) for keys, each in level]


def _top_buckets(bucket: Terms, found: list[tuple[Any, dict[str, Any]]]) -> list[tuple[Any, dict[str, Any]]]:
    if bucket.order == "key":
        return sorted(found, key=lambda each: str(each[0]))[: bucket.size]

    def rank(each: tuple[Any, dict[str, Any]]) -> tuple[float, str]:
        ordered_by = each[1].get(_ORDER_KEY, each[1])
        value = ordered_by["value"]["value"] if "value" in ordered_by else ordered_by["doc_count"]
        return -(value or 0), str(each[0])

    return sorted(found, key=rank)[: bucket.size]


def _value_of(number: int, value: Value, found: dict[str, Any]) -> float | None:
    parts = [_number_of(part, found[f"{columns.value_id(number)}.{n}"]) for n, part in enumerate(value.parts)]
    if not value.is_formula:
        return parts[0]
    left, right = parts
    if left is None or right is None:
        return None
    if value.kind == "difference":
        return left - right
    return left / right if right else None


def _number_of(number: Number, found: dict[str, Any]) -> float | None:
    if number.kind == "count":
        return float(found["doc_count"])
    content = found["value"]
    result = next(iter(content["values"].values())) if "values" in content else content["value"]
    return None if result is None else float(result)

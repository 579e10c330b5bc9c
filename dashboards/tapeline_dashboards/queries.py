"""What Elasticsearch is asked for a panel, and what its answer says; from the same source that Lens gets. Pure.

Lens makes its requests itself, in the browser. This is the same question in our words, so that tests can put it to
a real Elasticsearch and compare the numbers. A market is asked for field by field, one bucket inside another, and put
together here: Lens asks with `multi_terms`, which the reduced servers of local stacks do not have.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

from tapeline_dashboards import columns
from tapeline_dashboards.source import List, Number, Shown, Terms, Time, Value, Where
from tapeline_dashboards.views import View

Row = dict[str, Any]
_ORDERED_BY: Final = "order"
# More than there are markets; what is not among the first of a panel is cut off after the answer.
_WHOLE: Final = 10_000
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
class Span:
    """Which time is looked at.

    Attributes:
        from_ms: earliest, ms UTC.
        to_ms: latest, ms UTC, exclusive.
        interval: what `auto` stands for, such as "1m".
    """

    from_ms: int
    to_ms: int
    interval: str = "1m"

    def filter(self) -> dict[str, Any]:
        """Return it as a query."""
        limits = {"gte": self.from_ms, "lt": self.to_ms, "format": "epoch_millis"}
        return {"range": {"@timestamp": limits}}


def conditions(where: Where) -> list[dict[str, Any]]:
    """Return conditions as Elasticsearch takes them."""
    return [{"exists": {"field": name}} if value == "*" else {"term": {name: value}} for name, value in where.items()]


def request(panel: Shown, view: View, span: Span) -> dict[str, Any]:
    """Return the body of the search that has all of a panel's numbers."""
    aggs: dict[str, Any] = {}
    for number, value in enumerate(panel.values):
        aggs |= {f"{columns.value_id(number)}.{n}": _asked(part) for n, part in enumerate(value.parts)}
    for number, bucket in reversed(list(enumerate(panel.buckets))):
        aggs = _dealt(number, bucket, panel, view, span, aggs)
    return {"size": 0, "query": {"bool": {"filter": [span.filter(), *conditions(panel.where)]}}, "aggs": aggs}


def listing(panel: List, span: Span, size: int = 100) -> dict[str, Any]:
    """Return the body of the search that a list of documents asks."""
    query = {"bool": {"filter": [span.filter()]}}
    return {"size": size, "query": query, "sort": [{"@timestamp": "desc"}], "_source": list(panel.columns)}


def drawn(body: dict[str, Any], span: Span) -> dict[str, Any]:
    """Return the body of a drawing's request with the words replaced that Kibana would replace."""
    text = json.dumps(body)
    found = json.loads(text, object_hook=lambda each: span.interval if "%autointerval%" in each else each)
    return {**found, "query": {"bool": {"filter": [span.filter()]}}}


def _asked(number: Number) -> dict[str, Any]:
    body: dict[str, Any] = {"field": number.field}
    if number.kind == "median":
        body["percents"] = [50]
    elif number.percentile is not None:
        body["percents"] = [number.percentile.at]
    inside = {} if number.kind == "count" else {"value": {_AGGREGATIONS[number.kind]: body}}
    return {"filter": {"bool": {"filter": conditions(number.where)}}, **({"aggs": inside} if inside else {})}


def _dealt(number: int, bucket: Terms | Time, panel: Shown, view: View, span: Span, aggs: Row) -> Row:
    name = columns.bucket_id(number)
    if isinstance(bucket, Time):
        interval = span.interval if bucket.time == "auto" else bucket.time
        histogram = {"field": "@timestamp", "fixed_interval": interval, "min_doc_count": 1}
        return {name: {"date_histogram": histogram, "aggs": aggs}}
    if isinstance(bucket.order, Number):
        aggs = aggs | {_ORDERED_BY: _asked(bucket.order)}
    elif (found := _named(bucket.order, panel)) is not None:
        # Inside other buckets the number of this one alone is not to be had otherwise.
        aggs = aggs | {_ORDERED_BY: _asked(found)}
    for part, field in reversed(list(enumerate(columns.fields_of(bucket, view)))):
        aggs = {f"{name}.{part}": {"terms": {"field": field, "size": _WHOLE}, "aggs": aggs}}
    return aggs


def _named(order: str, panel: Shown) -> Value | None:
    return next((value for value in panel.values if value.name == order), None)


def rows(panel: Shown, view: View, response: dict[str, Any]) -> list[Row]:
    """Return a panel's numbers, a row for each innermost bucket.

    A row holds each bucket's key under the bucket's name (a market as "BTCUSDT › spot", a time in ms UTC) and each
    value under its name; None where there is nothing to work it out from.
    """
    return _walk(panel, view, response["aggregations"], 0, {})


def _walk(panel: Shown, view: View, found: dict[str, Any], depth: int, keys: Row) -> list[Row]:
    if depth == len(panel.buckets):
        return [keys | {value.name: _done(n, value, found) for n, value in enumerate(panel.values)}]
    bucket, name = panel.buckets[depth], columns.bucket_id(depth)
    if isinstance(bucket, Time):
        inside = [(each["key"], each) for each in found[name]["buckets"]]
    else:
        inside = _first(bucket, _flat(found, name, len(columns.fields_of(bucket, view))))
    label = "Time" if isinstance(bucket, Time) else bucket.name or bucket.terms
    return [row for key, each in inside for row in _walk(panel, view, each, depth + 1, keys | {label: key})]


def _flat(found: dict[str, Any], name: str, parts: int) -> list[tuple[Any, dict[str, Any]]]:
    """Return (key, bucket) of buckets that lie inside one another, field by field."""
    level: list[tuple[tuple[Any, ...], dict[str, Any]]] = [((), found)]
    for part in range(parts):
        level = [
            ((*keys, each.get("key_as_string", each["key"])), each)
            for keys, outer in level
            for each in outer[f"{name}.{part}"]["buckets"]
        ]
    return [(keys[0] if parts == 1 else " › ".join(map(str, keys)), each) for keys, each in level]


def _first(bucket: Terms, found: list[tuple[Any, dict[str, Any]]]) -> list[tuple[Any, dict[str, Any]]]:
    if bucket.order == "key":
        return sorted(found, key=lambda each: str(each[0]))[: bucket.size]

    def rank(each: tuple[Any, dict[str, Any]]) -> tuple[float, str]:
        ordered_by = each[1].get(_ORDERED_BY, each[1])
        value = ordered_by["value"]["value"] if "value" in ordered_by else ordered_by["doc_count"]
        return -(value or 0), str(each[0])

    return sorted(found, key=rank)[: bucket.size]


def _done(number: int, value: Value, found: dict[str, Any]) -> float | None:
    parts = [_read(part, found[f"{columns.value_id(number)}.{n}"]) for n, part in enumerate(value.parts)]
    if not value.is_formula:
        return parts[0]
    left, right = parts
    if left is None or right is None:
        return None
    if value.kind == "difference":
        return left - right
    return left / right if right else None


def _read(number: Number, found: dict[str, Any]) -> float | None:
    if number.kind == "count":
        return float(found["doc_count"])
    content = found["value"]
    result = next(iter(content["values"].values())) if "values" in content else content["value"]
    return None if result is None else float(result)

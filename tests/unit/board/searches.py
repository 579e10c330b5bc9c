"""Runs a search request over documents in memory, as Elasticsearch does, for the parts of it that the board uses."""

import statistics
from collections import defaultdict
from typing import Any

from tapeline_board.clients.search import Body, SearchRequest

from unit.board.factories import Document


def search(request: SearchRequest, *documents: Document) -> Body:
    """Return the response to a request over documents of one index."""
    body = request.body
    found = [one for one in documents if matches(one, body["query"])]
    for sort in reversed(body.get("sort", [])):
        ((name, options),) = sort.items()
        order = options if isinstance(options, str) else options["order"]
        found.sort(key=lambda one, name=name: one[name], reverse=order == "desc")
    hits = [{"_source": one} for one in found[: body["size"]]]
    response: Body = {"timed_out": False, "hits": {"total": {"value": len(found)}, "hits": hits}}
    return response | ({"aggregations": aggregate(found, body["aggs"])} if "aggs" in body else {})


def matches(document: Document, query: Body) -> bool:
    """Return whether a document matches a query."""
    ((kind, content),) = query.items()
    if kind == "bool":
        should = content.get("should", [])
        assert content.get("minimum_should_match") == (1 if should else None)
        return (
            all(matches(document, one) for one in content.get("filter", []))
            and (not should or any(matches(document, one) for one in should))
            and not any(matches(document, one) for one in content.get("must_not", []))
        )
    if kind == "exists":
        return document.get(content["field"]) is not None
    ((name, wanted),) = content.items()
    value = document.get(name)
    if kind == "term":
        return bool(value == wanted)
    if kind == "terms":
        return value in wanted
    assert kind == "range", query
    limits = {"gte": lambda limit: value >= limit, "gt": lambda limit: value > limit, "lt": lambda limit: value < limit}
    return value is not None and all(limits[sign](limit) for sign, limit in wanted.items() if sign != "format")


def aggregate(documents: list[Document], aggs: Body) -> Body:
    """Return the aggregations of documents."""
    return {name: _aggregation(documents, dict(agg)) for name, agg in aggs.items()}


def _aggregation(documents: list[Document], agg: Body) -> Body:
    inside = agg.pop("aggs", {})
    ((kind, options),) = agg.items()
    if kind == "filter":
        return _bucket([one for one in documents if matches(one, options)], inside)
    if kind == "top_hits":
        request = SearchRequest("", {"query": {"bool": {}}, **options})
        return search(request, *documents)
    if kind == "terms":
        return _terms(documents, options, inside)
    if kind == "date_histogram":
        step = {"1m": 60_000}.get(options["fixed_interval"]) or int(options["fixed_interval"].removesuffix("ms"))
        rows = _grouped(documents, lambda one: one[options["field"]] // step * step)
        return {"buckets": [{"key": key, **_bucket(rows[key], inside)} for key in sorted(rows)]}
    values = [float(one[options["field"]]) for one in documents if one.get(options["field"]) is not None]
    if kind == "sum":
        return {"value": sum(values)}
    if kind == "avg":
        return {"value": statistics.mean(values) if values else None}
    assert (kind, options["percents"]) == ("percentiles", [50]), agg
    return {"values": [{"key": 50.0, "value": statistics.median(values) if values else None}]}


def _terms(documents: list[Document], options: Body, inside: Body) -> Body:
    rows = _grouped([one for one in documents if one.get(options["field"]) is not None], lambda o: o[options["field"]])
    wanted = options.get("include")
    buckets = [{"key": key, **_bucket(own, inside)} for key, own in rows.items() if wanted is None or key in wanted]
    order = next(iter(options.get("order", [{"_count": "desc"}])[0]))
    size = {"_count": lambda one: one["doc_count"]}.get(order, lambda one: one[order]["value"])
    buckets.sort(key=lambda one: (-size(one), one["key"]))
    shown = buckets[: options["size"]]
    rest = sum(one["doc_count"] for one in buckets[options["size"] :])
    return {"buckets": shown, "sum_other_doc_count": rest}


def _bucket(documents: list[Document], inside: Body) -> Body:
    return {"doc_count": len(documents), **aggregate(documents, inside)}


def _grouped(documents: list[Document], key: Any) -> dict[Any, list[Document]]:
    found: dict[Any, list[Document]] = defaultdict(list)
    for one in documents:
        found[key(one)].append(one)
    return found


def by_instrument(leaf: str, left_out: int, **venues: dict[str, list[Body]]) -> Body:
    """Return aggregations per venue and market type, such as by_instrument("symbols", 0, bybit={"spot": [...]})."""
    found = [
        {
            "key": venue,
            "market_types": {
                "buckets": [
                    {"key": kind, leaf: {"buckets": rows, "sum_other_doc_count": left_out}}
                    for kind, rows in market_types.items()
                ]
            },
        }
        for venue, market_types in venues.items()
    ]
    return {"venues": {"buckets": found, "sum_other_doc_count": 0}}

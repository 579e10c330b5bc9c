"""Search requests, the query clauses and aggregations that panels share, and how their responses are parsed. Pure.

Every builder of a request has the parser of its response beside it in the same module.
"""

from dataclasses import dataclass
from typing import Any, Final

from tapeline_board.api.query_params import Clause, Filters, Span

Body = dict[str, Any]
NEWEST: Final[list[Body]] = [
    {"@timestamp": {"order": "desc", "unmapped_type": "date"}},
    {"sequence": {"order": "desc", "unmapped_type": "long"}},
    {"frame_index": {"order": "desc", "unmapped_type": "integer"}},
]
"""Sort order of trades, newest first."""


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search in one index or a pattern of them; a missing index counts as empty."""

    index: str
    body: Body


def filter_query(filters: Filters, *more: Clause) -> Body:
    """Return a query for documents that match filters and some clauses, without scores."""
    return {"bool": {"filter": [*more, *filters.clauses()]}}


def span_query(span: Span, filters: Filters, *more: Clause) -> Body:
    """Return a query for matching documents of a span."""
    return filter_query(filters, span.clause(), *more)


def by_symbol(size: int, aggs: Body, **more: Any) -> Body:
    """Return aggregations per market type and, in it, symbol: one name in two market types is two instruments."""
    symbols = {"terms": {"field": "symbol", "size": size, **more}, "aggs": aggs}
    return {"market_types": {"terms": {"field": "market_type", "size": 8}, "aggs": {"symbols": symbols}}}


def symbol_buckets(found: Body) -> list[tuple[str, str, Body]]:
    """Return (market_type, symbol, bucket) of `by_symbol`; `found` has the aggregations of a response."""
    market_types = found.get("market_types", {}).get("buckets", [])
    return [(one["key"], bucket["key"], bucket) for one in market_types for bucket in one["symbols"]["buckets"]]


def lacks_symbols(found: Body) -> bool:
    """Return whether the aggregations of `by_symbol` lack symbols."""
    market_types = found.get("market_types", {}).get("buckets", [])
    return any(one["symbols"]["sum_other_doc_count"] for one in market_types)


def documents(response: Body) -> list[Body]:
    """Return the documents of a response."""
    return [hit["_source"] for hit in response["hits"]["hits"]]


def aggregations(response: Body) -> Body:
    """Return the aggregations of a response; empty where no index matched."""
    found: Body = response.get("aggregations") or {}
    return found


def sum_aggs(fields: tuple[str, ...]) -> Body:
    """Return one sum a field, under its name."""
    return {field: {"sum": {"field": field}} for field in fields}

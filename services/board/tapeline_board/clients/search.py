"""One search: where, and what. Pure; elastic.py asks it.

Every builder of a question has a reader of its answer beside it in the same module.
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
"""Order of trades, newest first."""


@dataclass(frozen=True, slots=True)
class Question:
    """A search in one index or a pattern of them; one that is not there holds nothing."""

    index: str
    body: Body


def matching(filters: Filters, *more: Clause) -> Body:
    """Return a query of documents that fit filters and some clauses, without scores."""
    return {"bool": {"filter": [*more, *filters.clauses()]}}


def all_of(span: Span, filters: Filters, *more: Clause) -> Body:
    """Return a query of documents of a span that fit."""
    return matching(filters, span.clause(), *more)


def by_symbol(size: int, aggs: Body, **more: Any) -> Body:
    """Return aggregations per market type and, in it, symbol: one name in two market types is two markets."""
    symbols = {"terms": {"field": "symbol", "size": size, **more}, "aggs": aggs}
    return {"market_types": {"terms": {"field": "market_type", "size": 8}, "aggs": {"symbols": symbols}}}


def symbol_buckets(found: Body) -> list[tuple[str, str, Body]]:
    """Return (market_type, symbol, bucket) of an answer to `by_symbol`; `found` is its part `aggregations`."""
    market_types = found.get("market_types", {}).get("buckets", [])
    return [(one["key"], bucket["key"], bucket) for one in market_types for bucket in one["symbols"]["buckets"]]


def left_out(found: Body) -> bool:
    """Return whether an answer to `by_symbol` lacks symbols."""
    market_types = found.get("market_types", {}).get("buckets", [])
    return any(one["symbols"]["sum_other_doc_count"] for one in market_types)


def sources(answer: Body) -> list[Body]:
    """Return the documents of an answer."""
    return [hit["_source"] for hit in answer["hits"]["hits"]]


def of(answer: Body) -> Body:
    """Return the aggregations of an answer; empty where no index matched."""
    found: Body = answer.get("aggregations") or {}
    return found


def sums(fields: tuple[str, ...]) -> Body:
    """Return one sum a field, under its name."""
    return {field: {"sum": {"field": field}} for field in fields}

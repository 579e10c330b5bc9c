"""Search requests, the query clauses and aggregations that panels share, and how their responses are parsed. Pure.

Every builder of a request has the parser of its response beside it in the same module.
"""

from dataclasses import dataclass
from typing import Any, Final

from tapeline.enums import MarketType
from tapeline.instrument import Instrument, instrument_of

from tapeline_board.api.query_params import Clause, Filters, Span

Body = dict[str, Any]
_VENUES_MAX: Final = 32
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


def by_instrument(size: int, aggs: Body, **more: Any) -> Body:
    """Return aggregations per venue, in it market type, in it symbol: the same symbol elsewhere is another instrument.

    Args:
        size: most symbols of each venue and market type.
        aggs: aggregations of each instrument.
        more: more options of the symbols' `terms`, such as their order.
    """
    symbols = {"symbols": {"terms": {"field": "symbol", "size": size, **more}, "aggs": aggs}}
    market_types = {"market_types": {"terms": {"field": "market_type", "size": len(MarketType)}, "aggs": symbols}}
    return {"venues": {"terms": {"field": "venue", "size": _VENUES_MAX}, "aggs": market_types}}


def instrument_buckets(found: Body) -> list[tuple[Instrument, Body]]:
    """Return each instrument and its bucket of `by_instrument`; `found` has the aggregations of a response."""
    return [
        (instrument_of(venue, market["key"], bucket["key"]), bucket)
        for venue, market in _market_buckets(found)
        for bucket in market["symbols"]["buckets"]
    ]


def instrument_fields(instrument: Instrument) -> dict[str, Any]:
    """Return an instrument as the fields of a row."""
    return {"venue": instrument.venue, "market_type": instrument.market_type, "symbol": instrument.symbol}


def lacks_instruments(found: Body) -> bool:
    """Return whether the aggregations of `by_instrument` lack instruments."""
    has_more_venues = bool(found.get("venues", {}).get("sum_other_doc_count"))
    return has_more_venues or any(market["symbols"]["sum_other_doc_count"] for _, market in _market_buckets(found))


def _market_buckets(found: Body) -> list[tuple[str, Body]]:
    venues = found.get("venues", {}).get("buckets", [])
    return [(venue["key"], market) for venue in venues for market in venue["market_types"]["buckets"]]


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

"""The six views: search requests, and how their responses are parsed. Pure; market_state.py keeps the result over time.

Every number belongs to one symbol in one bucket, so that a span can be assembled from parts: medians are never taken
across symbols, and sums of buckets are sums of the span.
"""

from dataclasses import dataclass
from typing import Any, Final

from tapeline import names

from tapeline_board.api.query_params import SYMBOLS_MAX, Filters, Span
from tapeline_board.clients.search import (
    Body,
    SearchRequest,
    aggregations,
    by_symbol,
    lacks_symbols,
    span_query,
    symbol_buckets,
)

Market = tuple[str, str]
"""Market type and symbol."""
_INDEX: Final = f"{names.INDEX_TRADES_PREFIX}*"
_MEDIAN: Final[Body] = {"percentiles": {"field": "price", "percents": [50], "keyed": False}}
_QUANTITY: Final[Body] = {"sum": {"field": "base_quantity"}}
_PARTS: Final[dict[str, Body]] = {
    "buy": {"term": {"side": "Buy"}},
    "sell": {"term": {"side": "Sell"}},
    "up": {"term": {"prediction": 1}},
    "down": {"term": {"prediction": 0}},
}


@dataclass(frozen=True, slots=True)
class Part:
    """A subset of a bucket's trades.

    Attributes:
        trades: how many.
        quantity: base.
        price: median; None without any.
    """

    trades: int
    quantity: float
    price: float | None


@dataclass(frozen=True, slots=True)
class Bucket:
    """The trades of one symbol in one bucket."""

    trades: int
    price: float
    buy: Part
    sell: Part
    up: Part
    down: Part
    other: Part
    """Without a prediction; no median."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """The symbols that are shown, most active first.

    Attributes:
        markets: at most SYMBOLS_MAX.
        is_truncated: there are more.
    """

    markets: tuple[Market, ...]
    is_truncated: bool


@dataclass(frozen=True, slots=True)
class MarketBuckets:
    """Parsed buckets of one response.

    Attributes:
        everything: by start of a bucket: trades of all symbols, and how many of them are taker buys.
        symbols: by market_type and symbol, then by start of a bucket.
    """

    everything: dict[int, tuple[int, int]]
    symbols: dict[Market, dict[int, Bucket]]

    def has_others(self) -> bool:
        """Return whether there are trades of symbols that were not requested."""
        shown = sum(bucket.trades for buckets in self.symbols.values() for bucket in buckets.values())
        return shown < sum(trades for trades, _ in self.everything.values())


def ranking_request(span: Span, filters: Filters) -> SearchRequest:
    """Return the request for the most active symbols."""
    aggs = by_symbol(SYMBOLS_MAX + 1, {})
    return SearchRequest(
        _INDEX, {"size": 0, "query": span_query(span, filters), "aggs": aggs, "track_total_hits": False}
    )


def parse_ranking(response: Body) -> Ranking:
    """Return the most active symbols of a response to `ranking_request`."""
    found = sorted(symbol_buckets(aggregations(response)), key=lambda one: (-one[2]["doc_count"], one[0], one[1]))
    markets = tuple((market_type, symbol) for market_type, symbol, _ in found)
    return Ranking(markets[:SYMBOLS_MAX], lacks_symbols(aggregations(response)) or len(markets) > SYMBOLS_MAX)


def buckets_request(span: Span, filters: Filters, interval_ms: int, markets: tuple[Market, ...]) -> SearchRequest:
    """Return the request for the buckets of some symbols."""
    histogram = {
        "date_histogram": {"field": "@timestamp", "fixed_interval": f"{interval_ms}ms", "min_doc_count": 1},
    }
    parts: Body = {
        name: {"filter": clause, "aggs": {"price": _MEDIAN, "quantity": _QUANTITY}} for name, clause in _PARTS.items()
    }
    parts["other"] = {
        "filter": {"bool": {"must_not": [{"exists": {"field": "prediction"}}]}},
        "aggs": {"quantity": _QUANTITY},
    }
    aggs: Body = {"everything": {**histogram, "aggs": {"buy": {"filter": _PARTS["buy"]}}}}
    if markets:
        shown = sorted({symbol for _, symbol in markets})
        buckets = {"buckets": {**histogram, "aggs": {"price": _MEDIAN, **parts}}}
        aggs |= by_symbol(len(shown), buckets, include=shown)
    return SearchRequest(
        _INDEX, {"size": 0, "query": span_query(span, filters), "aggs": aggs, "track_total_hits": False}
    )


def parse_buckets(response: Body, markets: tuple[Market, ...]) -> MarketBuckets:
    """Return the buckets of a response to `buckets_request`."""
    found, wanted = aggregations(response), set(markets)
    everything = {
        bucket["key"]: (bucket["doc_count"], bucket["buy"]["doc_count"])
        for bucket in found.get("everything", {}).get("buckets", [])
    }
    symbols = {
        (market_type, symbol): {bucket["key"]: _parse_bucket(bucket) for bucket in one["buckets"]["buckets"]}
        for market_type, symbol, one in symbol_buckets(found)
        if (market_type, symbol) in wanted
    }
    return MarketBuckets(everything, symbols)


def _median(found: Body) -> Any:
    return found["price"]["values"][0]["value"]


def _parse_part(found: Body) -> Part:
    trades = found["doc_count"]
    return Part(trades, found["quantity"]["value"], _median(found) if trades and "price" in found else None)


def _parse_bucket(found: Body) -> Bucket:
    parts = {name: _parse_part(found[name]) for name in (*_PARTS, "other")}
    return Bucket(trades=found["doc_count"], price=_median(found), **parts)

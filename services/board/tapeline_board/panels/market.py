"""The six views: questions, and what is read out of their answers. Pure; market_book.py keeps it over time.

Every number is one of one symbol in one bucket, so that spans can be put together from parts: medians are never taken
across symbols, and sums of buckets are sums of the span.
"""

from dataclasses import dataclass
from typing import Any, Final

from tapeline import names

from tapeline_board.api.query_params import SYMBOLS_MAX, Filters, Span
from tapeline_board.clients.search import (
    Body,
    Question,
    all_of,
    by_symbol,
    left_out,
    of,
    symbol_buckets,
)

Market = tuple[str, str]
"""MarketType and symbol."""
_INDEX: Final = f"{names.INDEX_TRADES_PREFIX}*"
_MEDIAN: Final[Body] = {"percentiles": {"field": "price", "percents": [50], "keyed": False}}
_QUANTITY: Final[Body] = {"sum": {"field": "quantity"}}
_PARTS: Final[dict[str, Body]] = {
    "buy": {"term": {"side": "Buy"}},
    "sell": {"term": {"side": "Sell"}},
    "up": {"term": {"prediction": 1}},
    "down": {"term": {"prediction": 0}},
}


@dataclass(frozen=True, slots=True)
class Part:
    """Some trades of a bucket.

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
    """The trades of one symbol in one stretch of time."""

    trades: int
    price: float
    buy: Part
    sell: Part
    up: Part
    down: Part
    other: Part
    """Without a prediction; its median is not asked for."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Which symbols are shown, the busiest first.

    Attributes:
        markets: at most SYMBOLS_MAX.
        is_cut: there are more.
    """

    markets: tuple[Market, ...]
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """What one answer says.

    Attributes:
        everything: by start of a bucket: trades of all symbols, and those of them that takers bought.
        symbols: by market_type and symbol, then by start of a bucket.
    """

    everything: dict[int, tuple[int, int]]
    symbols: dict[Market, dict[int, Bucket]]

    def has_others(self) -> bool:
        """Return whether there are trades of other symbols than those that were asked for."""
        shown = sum(bucket.trades for buckets in self.symbols.values() for bucket in buckets.values())
        return shown < sum(trades for trades, _ in self.everything.values())


def ranking_question(span: Span, filters: Filters) -> Question:
    """Return the question for the busiest symbols."""
    aggs = by_symbol(SYMBOLS_MAX + 1, {})
    return Question(_INDEX, {"size": 0, "query": all_of(span, filters), "aggs": aggs, "track_total_hits": False})


def ranking(answer: Body) -> Ranking:
    """Return the busiest symbols out of an answer to `ranking_question`."""
    found = sorted(symbol_buckets(of(answer)), key=lambda one: (-one[2]["doc_count"], one[0], one[1]))
    markets = tuple((market_type, symbol) for market_type, symbol, _ in found)
    return Ranking(markets[:SYMBOLS_MAX], left_out(of(answer)) or len(markets) > SYMBOLS_MAX)


def question(span: Span, filters: Filters, interval_ms: int, markets: tuple[Market, ...]) -> Question:
    """Return the question for the buckets of some symbols."""
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
    return Question(_INDEX, {"size": 0, "query": all_of(span, filters), "aggs": aggs, "track_total_hits": False})


def reading(answer: Body, markets: tuple[Market, ...]) -> Reading:
    """Return what an answer to `question` says."""
    found, wanted = of(answer), set(markets)
    everything = {
        bucket["key"]: (bucket["doc_count"], bucket["buy"]["doc_count"])
        for bucket in found.get("everything", {}).get("buckets", [])
    }
    symbols = {
        (market_type, symbol): {bucket["key"]: _bucket(bucket) for bucket in one["buckets"]["buckets"]}
        for market_type, symbol, one in symbol_buckets(found)
        if (market_type, symbol) in wanted
    }
    return Reading(everything, symbols)


def _median(found: Body) -> Any:
    return found["price"]["values"][0]["value"]


def _part(found: Body) -> Part:
    trades = found["doc_count"]
    return Part(trades, found["quantity"]["value"], _median(found) if trades and "price" in found else None)


def _bucket(found: Body) -> Bucket:
    parts = {name: _part(found[name]) for name in (*_PARTS, "other")}
    return Bucket(trades=found["doc_count"], price=_median(found), **parts)

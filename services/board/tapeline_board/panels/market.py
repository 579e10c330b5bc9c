"""The six views: search requests, and how their responses are parsed. Pure; market_state.py keeps the result over time.

Every number belongs to one instrument in one bucket, so that a span can be assembled from parts: medians are never
taken across instruments, and sums of buckets are sums of the span.
"""

from dataclasses import dataclass
from typing import Any, Final

from tapeline import names
from tapeline.enums import Side
from tapeline.instrument import Instrument

from tapeline_board.api.query_params import INSTRUMENTS_MAX, Filters, Span
from tapeline_board.clients.search import (
    Body,
    SearchRequest,
    aggregations,
    by_instrument,
    instrument_buckets,
    lacks_instruments,
    span_query,
)

_INDEX: Final = f"{names.INDEX_TRADES_PREFIX}*"
_MEDIAN: Final[Body] = {"percentiles": {"field": "price", "percents": [50], "keyed": False}}
_QUANTITY: Final[Body] = {"sum": {"field": "base_quantity"}}
_PARTS: Final[dict[str, Body]] = {
    "buy": {"term": {"side": Side.BUY}},
    "sell": {"term": {"side": Side.SELL}},
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
    """The trades of one instrument in one bucket."""

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
    """The instruments that are shown, most active first.

    Attributes:
        instruments: at most INSTRUMENTS_MAX.
        is_truncated: there are more.
    """

    instruments: tuple[Instrument, ...]
    is_truncated: bool


@dataclass(frozen=True, slots=True)
class MarketBuckets:
    """Parsed buckets of one response.

    Attributes:
        everything: by start of a bucket: trades of all instruments, and how many of them are taker buys.
        instruments: by instrument, then by start of a bucket.
    """

    everything: dict[int, tuple[int, int]]
    instruments: dict[Instrument, dict[int, Bucket]]

    def has_others(self) -> bool:
        """Return whether there are trades of instruments that were not requested."""
        shown = sum(bucket.trades for buckets in self.instruments.values() for bucket in buckets.values())
        return shown < sum(trades for trades, _ in self.everything.values())


def ranking_request(span: Span, filters: Filters) -> SearchRequest:
    """Return the request for the most active instruments."""
    aggs = by_instrument(INSTRUMENTS_MAX + 1, {})
    return SearchRequest(
        _INDEX, {"size": 0, "query": span_query(span, filters), "aggs": aggs, "track_total_hits": False}
    )


def parse_ranking(response: Body) -> Ranking:
    """Return the most active instruments of a response to `ranking_request`."""
    found = sorted(instrument_buckets(aggregations(response)), key=lambda one: (-one[1]["doc_count"], one[0]))
    ranked = tuple(instrument for instrument, _ in found)
    is_truncated = lacks_instruments(aggregations(response)) or len(ranked) > INSTRUMENTS_MAX
    return Ranking(ranked[:INSTRUMENTS_MAX], is_truncated)


def buckets_request(
    span: Span, filters: Filters, interval_ms: int, instruments: tuple[Instrument, ...]
) -> SearchRequest:
    """Return the request for the buckets of some instruments."""
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
    if instruments:
        shown = sorted({instrument.symbol for instrument in instruments})
        buckets = {"buckets": {**histogram, "aggs": {"price": _MEDIAN, **parts}}}
        aggs |= by_instrument(len(shown), buckets, include=shown)
    return SearchRequest(
        _INDEX, {"size": 0, "query": span_query(span, filters), "aggs": aggs, "track_total_hits": False}
    )


def parse_buckets(response: Body, instruments: tuple[Instrument, ...]) -> MarketBuckets:
    """Return the buckets of a response to `buckets_request`."""
    found, wanted = aggregations(response), set(instruments)
    everything = {
        bucket["key"]: (bucket["doc_count"], bucket["buy"]["doc_count"])
        for bucket in found.get("everything", {}).get("buckets", [])
    }
    # A symbol that is shown for one venue is in the response for every venue that has it.
    shown = {
        instrument: {bucket["key"]: _parse_bucket(bucket) for bucket in one["buckets"]["buckets"]}
        for instrument, one in instrument_buckets(found)
        if instrument in wanted
    }
    return MarketBuckets(everything, shown)


def _median(found: Body) -> Any:
    return found["price"]["values"][0]["value"]


def _parse_part(found: Body) -> Part:
    trades = found["doc_count"]
    return Part(trades, found["quantity"]["value"], _median(found) if trades and "price" in found else None)


def _parse_bucket(found: Body) -> Bucket:
    parts = {name: _parse_part(found[name]) for name in (*_PARTS, "other")}
    return Bucket(trades=found["doc_count"], price=_median(found), **parts)

"""Elasticsearch queries for the number of trade documents; retries are in elastic/sink.py."""

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any, Final

from elasticsearch import Elasticsearch
from tapeline import names
from tapeline.instrument import Instrument, instrument_of
from tapeline.records import candle

from tapeline_spark.elastic.sink import ElasticSink

_MINUTES_AT_ONCE: Final = 7
"""Times the symbols of every market type, this stays below the 65,536 buckets of one response."""
_SYMBOLS: Final = 3_000


class TradeCountQueries:
    """Queries for counts of trade documents."""

    def __init__(self, sink: ElasticSink) -> None:
        """Query through `sink`, which retries while Elasticsearch is unavailable."""
        self._sink = sink

    def indexed_counts(self, venue: str, minutes: Collection[int]) -> dict[tuple[Instrument, int], int]:
        """Return the number of a venue's trade documents by instrument and minute, without zeros.

        Args:
            venue: whose documents are counted.
            minutes: starts of the minutes, ms UTC.

        Raises:
            StreamError: Elasticsearch does not respond, or refuses.
        """
        found: dict[tuple[Instrument, int], int] = {}
        ordered = sorted(minutes)
        for start in range(0, len(ordered), _MINUTES_AT_ONCE):
            part = ordered[start : start + _MINUTES_AT_ONCE]
            response = self._sink.query(partial(_count, venue, part))
            for market_type in response.get("aggregations", {}).get("market_types", {}).get("buckets", []):
                for symbol in market_type["symbols"]["buckets"]:
                    for minute in symbol["minutes"]["buckets"]:
                        instrument = instrument_of(venue, market_type["key"], symbol["key"])
                        found[instrument, int(minute["key"])] = int(minute["doc_count"])
        return found

    def newest_indexed_ms(self, venue: str, around_ms: int) -> int:
        """Return the time of a venue's newest trade in Elasticsearch, ms UTC; 0 if there is none.

        Args:
            venue: whose trades are searched.
            around_ms: a time near it, ms UTC; its day and both adjacent days are searched.
        """
        day_ms = 24 * 60 * candle.MINUTE_MS
        days = sorted({names.index_for_trade(around_ms + shift) for shift in (-day_ms, 0, day_ms)})
        aggs = {"newest": {"max": {"field": "traded_at"}}}
        query = {"term": {"venue": venue}}
        response = self._sink.query(lambda client: search(client, days, size=0, query=query, aggs=aggs))
        value = response.get("aggregations", {}).get("newest", {}).get("value")
        return int(value) if value is not None else 0


def in_minute(minute_ms: int) -> dict[str, Any]:
    """Return the filter of the trades of a minute."""
    return {"range": {"traded_at": {"gte": minute_ms, "lt": minute_ms + candle.MINUTE_MS, "format": "epoch_millis"}}}


def search(client: Elasticsearch, indices: Sequence[str], **request: Any) -> Any:
    """Return the response to a search over every shard of the indices that exist."""
    return client.search(
        index=",".join(indices),
        ignore_unavailable=True,
        allow_no_indices=True,
        allow_partial_search_results=False,
        **request,
    ).body


def _count(venue: str, minutes: Sequence[int], client: Elasticsearch) -> Any:
    per_minute = {"date_histogram": {"field": "traded_at", "fixed_interval": "1m", "min_doc_count": 1}}
    per_symbol = {"terms": {"field": "symbol", "size": _SYMBOLS}, "aggs": {"minutes": per_minute}}
    per_market_type = {"terms": {"field": "market_type"}, "aggs": {"symbols": per_symbol}}
    indices = sorted({names.index_for_trade(minute_ms) for minute_ms in minutes})
    times = {"should": [in_minute(minute_ms) for minute_ms in minutes], "minimum_should_match": 1}
    query = {"bool": {"filter": [{"term": {"venue": venue}}], **times}}
    return search(client, indices, size=0, query=query, aggs={"market_types": per_market_type})

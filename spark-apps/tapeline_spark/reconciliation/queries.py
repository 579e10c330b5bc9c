"""Elasticsearch queries for reconciliation and evaluation: returns plain values.

Decisions are in rule.py and evaluation/scores.py; retries are in elastic/sink.py.
"""

from collections.abc import Collection, Iterator, Sequence
from functools import partial
from typing import Any, Final

from elasticsearch import Elasticsearch
from tapeline import names
from tapeline.instrument import instrument_of
from tapeline.records import candle, reconciliation

from tapeline_spark.candles.listener import Key
from tapeline_spark.elastic.sink import ElasticSink
from tapeline_spark.evaluation.scores import Rows
from tapeline_spark.evaluation.stored_trades import FIELDS, Hit, SymbolTrades, parse_hits

_MINUTES_AT_ONCE: Final = 10
"""Times the symbols of two market types, this stays below the 65,536 buckets of one response."""
_SYMBOLS: Final = 3_000
_PAGE: Final = 10_000
_KEEP_ALIVE: Final = "1m"


class Queries:
    """Queries of the reconciler and the score evaluator."""

    def __init__(self, sink: ElasticSink) -> None:
        """Query through `sink`, which retries while Elasticsearch is unavailable."""
        self._sink = sink
        self._priors: dict[str, float] = {}

    def indexed_counts(self, minutes: Collection[int]) -> dict[tuple[Key, int], int]:
        """Return the number of trade documents by symbol and minute, without zeros.

        Args:
            minutes: starts of the minutes, ms UTC.

        Raises:
            StreamError: Elasticsearch does not respond, or refuses.
        """
        found: dict[tuple[Key, int], int] = {}
        ordered = sorted(minutes)
        for start in range(0, len(ordered), _MINUTES_AT_ONCE):
            part = ordered[start : start + _MINUTES_AT_ONCE]
            response = self._sink.query(partial(_count, part))
            for market_type in response.get("aggregations", {}).get("market_types", {}).get("buckets", []):
                for symbol in market_type["symbols"]["buckets"]:
                    for minute in symbol["minutes"]["buckets"]:
                        key_and_minute = (market_type["key"], symbol["key"]), int(minute["key"])
                        found[key_and_minute] = int(minute["doc_count"])
        return found

    def newest_indexed_ms(self, around_ms: int) -> int:
        """Return the time of the newest trade in Elasticsearch, ms UTC; 0 if there is none.

        Args:
            around_ms: a time near it, ms UTC; its day and both adjacent days are searched.
        """
        day_ms = 24 * 60 * candle.MINUTE_MS
        days = sorted({names.index_for_trade(around_ms + shift) for shift in (-day_ms, 0, day_ms)})
        aggs = {"newest": {"max": {"field": "traded_at"}}}
        response = self._sink.query(lambda client: _search(client, days, size=0, aggs=aggs))
        value = response.get("aggregations", {}).get("newest", {}).get("value")
        return int(value) if value is not None else 0

    def read_trades(self, minute_ms: int, keys: Collection[Key]) -> dict[Key, Rows]:
        """Return all trades of some symbols in one minute, in order per symbol, from one point in time (PIT).

        Args:
            minute_ms: start of the minute, ms UTC.
            keys: market_type and symbol of each.

        Raises:
            StreamError: Elasticsearch does not respond, or refuses.
        """
        tables = {key: SymbolTrades() for key in keys}
        for hit in self._read_hits(minute_ms, sorted({symbol for _, symbol in keys})):
            table = tables.get(hit.fields.key)
            if table is not None:
                table.add(hit.fields)
        return {key: table.rows() for key, table in tables.items() if table.price}

    def _read_hits(self, minute_ms: int, symbols: Sequence[str]) -> Iterator[Hit]:
        index = names.index_for_trade(minute_ms)
        point = self._sink.query(
            lambda client: client.open_point_in_time(
                index=index, keep_alive=_KEEP_ALIVE, ignore_unavailable=True, allow_partial_search_results=False
            )
        )["id"]
        try:
            request: dict[str, Any] = {
                "pit": {"id": point, "keep_alive": _KEEP_ALIVE},
                "size": _PAGE,
                # Index order: any other sort would read all documents again for every page.
                "sort": ["_shard_doc"],
                "query": {"bool": {"filter": [{"terms": {"symbol": list(symbols)}}, _within(minute_ms)]}},
                "docvalue_fields": [
                    {"field": name, "format": "epoch_millis"} if name == "traded_at" else name for name in FIELDS
                ],
                # Only doc values are fetched; the source is compressed text.
                "stored_fields": "_none_",
                "track_total_hits": False,
                "allow_partial_search_results": False,
                "filter_path": "hits.hits.fields,hits.hits.sort",
            }
            while True:
                page = parse_hits(self._sink.query_raw(lambda client: client.search(**request)))
                yield from page
                if len(page) < _PAGE:
                    return
                request["search_after"] = page[-1].sort
        finally:
            self._sink.query(lambda client: client.options(ignore_status=404).close_point_in_time(id=point))

    def stored_documents(self, minutes: Sequence[tuple[Key, int]]) -> dict[tuple[Key, int], dict[str, Any]]:
        """Return the stored reconciliation documents of some symbols and minutes."""
        if not minutes:
            return {}
        wanted = [
            {
                "_index": names.monthly_index(names.INDEX_RECONCILIATION_PREFIX, minute_ms),
                "_id": reconciliation.identity(instrument_of(names.VENUE, *key), minute_ms),
            }
            for key, minute_ms in minutes
        ]
        response = self._sink.query(lambda client: client.mget(docs=wanted))
        pairs = zip(minutes, response["docs"], strict=True)
        return {minute: found["_source"] for minute, found in pairs if found.get("found")}

    def priors(self, digests: Collection[str]) -> dict[str, float]:
        """Return the prior (share of higher prices in training) of each model that has a training record."""
        unknown = sorted(set(digests) - self._priors.keys())
        if unknown:
            query = {"bool": {"filter": [{"terms": {"digest": unknown}}, {"exists": {"field": "prior"}}]}}
            fields = ["digest", "prior"]
            response = self._sink.query(
                lambda client: _search(
                    client, [names.INDEX_MODELS], size=1_000, query=query, docvalue_fields=fields, source=False
                )
            )
            for hit in response["hits"]["hits"]:
                self._priors[hit["fields"]["digest"][0]] = float(hit["fields"]["prior"][0])
        return {digest: self._priors[digest] for digest in digests if digest in self._priors}


def _within(minute_ms: int) -> dict[str, Any]:
    return {"range": {"traded_at": {"gte": minute_ms, "lt": minute_ms + candle.MINUTE_MS, "format": "epoch_millis"}}}


def _count(minutes: Sequence[int], client: Elasticsearch) -> Any:
    per_minute = {"date_histogram": {"field": "traded_at", "fixed_interval": "1m", "min_doc_count": 1}}
    per_symbol = {"terms": {"field": "symbol", "size": _SYMBOLS}, "aggs": {"minutes": per_minute}}
    per_market_type = {"terms": {"field": "market_type"}, "aggs": {"symbols": per_symbol}}
    indices = sorted({names.index_for_trade(minute_ms) for minute_ms in minutes})
    query = {"bool": {"should": [_within(minute_ms) for minute_ms in minutes], "minimum_should_match": 1}}
    return _search(client, indices, size=0, query=query, aggs={"market_types": per_market_type})


def _search(client: Elasticsearch, indices: Sequence[str], **request: Any) -> Any:
    return client.search(
        index=",".join(indices),
        ignore_unavailable=True,
        allow_no_indices=True,
        allow_partial_search_results=False,
        **request,
    ).body

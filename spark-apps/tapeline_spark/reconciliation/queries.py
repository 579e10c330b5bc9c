"""Elasticsearch queries for reconciliation and evaluation: returns plain values.

Decisions are in rule.py and evaluation/scores.py; retries are in elastic/sink.py.
"""

from collections.abc import Collection, Iterator, Sequence
from functools import partial
from typing import Any, Final

from elasticsearch import Elasticsearch
from tapeline import names
from tapeline.instrument import Instrument, instrument_of
from tapeline.records import candle, reconciliation

from tapeline_spark.elastic.sink import ElasticSink
from tapeline_spark.evaluation.scores import Rows
from tapeline_spark.evaluation.stored_trades import FIELDS, Hit, SymbolTrades, parse_hits

_MINUTES_AT_ONCE: Final = 7
"""Times the symbols of every market type, this stays below the 65,536 buckets of one response."""
_SYMBOLS: Final = 3_000
_PAGE: Final = 10_000
_KEEP_ALIVE: Final = "1m"


class Queries:
    """Queries of the reconciler and the score evaluator."""

    def __init__(self, sink: ElasticSink) -> None:
        """Query through `sink`, which retries while Elasticsearch is unavailable."""
        self._sink = sink
        self._priors: dict[str, float] = {}

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
        response = self._sink.query(lambda client: _search(client, days, size=0, query=query, aggs=aggs))
        value = response.get("aggregations", {}).get("newest", {}).get("value")
        return int(value) if value is not None else 0

    def read_trades(self, minute_ms: int, instruments: Collection[Instrument]) -> dict[Instrument, Rows]:
        """Return all trades of some instruments in one minute, in order per instrument, from one point in time (PIT).

        Args:
            minute_ms: start of the minute, ms UTC.
            instruments: whose trades.

        Raises:
            StreamError: Elasticsearch does not respond, or refuses.
        """
        tables = {instrument: SymbolTrades() for instrument in instruments}
        for hit in self._read_hits(minute_ms, instruments):
            table = tables.get(hit.fields.instrument)
            if table is not None:
                table.add(hit.fields)
        return {instrument: table.rows() for instrument, table in tables.items() if table.price}

    def _read_hits(self, minute_ms: int, instruments: Collection[Instrument]) -> Iterator[Hit]:
        index = names.index_for_trade(minute_ms)
        # A superset: every combination of these venues and symbols.
        wanted = [
            {"terms": {"venue": sorted({instrument.venue for instrument in instruments})}},
            {"terms": {"symbol": sorted({instrument.symbol for instrument in instruments})}},
        ]
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
                "query": {"bool": {"filter": [*wanted, _within(minute_ms)]}},
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

    def stored_documents(
        self, minutes: Sequence[tuple[Instrument, int]]
    ) -> dict[tuple[Instrument, int], dict[str, Any]]:
        """Return the stored reconciliation documents of some instruments and minutes."""
        if not minutes:
            return {}
        wanted = [
            {
                "_index": names.monthly_index(names.INDEX_RECONCILIATION_PREFIX, minute_ms),
                "_id": reconciliation.identity(instrument, minute_ms),
            }
            for instrument, minute_ms in minutes
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


def _count(venue: str, minutes: Sequence[int], client: Elasticsearch) -> Any:
    per_minute = {"date_histogram": {"field": "traded_at", "fixed_interval": "1m", "min_doc_count": 1}}
    per_symbol = {"terms": {"field": "symbol", "size": _SYMBOLS}, "aggs": {"minutes": per_minute}}
    per_market_type = {"terms": {"field": "market_type"}, "aggs": {"symbols": per_symbol}}
    indices = sorted({names.index_for_trade(minute_ms) for minute_ms in minutes})
    times = {"should": [_within(minute_ms) for minute_ms in minutes], "minimum_should_match": 1}
    query = {"bool": {"filter": [{"term": {"venue": venue}}], **times}}
    return _search(client, indices, size=0, query=query, aggs={"market_types": per_market_type})


def _search(client: Elasticsearch, indices: Sequence[str], **request: Any) -> Any:
    return client.search(
        index=",".join(indices),
        ignore_unavailable=True,
        allow_no_indices=True,
        allow_partial_search_results=False,
        **request,
    ).body

"""Elasticsearch queries of the score evaluator: returns plain values.

Responses are parsed in stored_trades.py, scores computed in scores.py; retries are in elastic/sink.py.
"""

from collections.abc import Collection, Iterator
from typing import Any, Final

from tapeline import names
from tapeline.instrument import Instrument

from tapeline_spark.elastic.sink import ElasticSink
from tapeline_spark.evaluation.scores import Rows
from tapeline_spark.evaluation.stored_trades import FIELDS, Hit, SymbolTrades, parse_hits
from tapeline_spark.minutes.trade_counts import TradeCountQueries, in_minute, search

_PAGE: Final = 10_000
_KEEP_ALIVE: Final = "1m"


class EvaluationQueries(TradeCountQueries):
    """Counts of trade documents, the trades of a minute, and priors of models."""

    def __init__(self, sink: ElasticSink) -> None:
        """Query through `sink`, which retries while Elasticsearch is unavailable."""
        super().__init__(sink)
        self._priors: dict[str, float] = {}

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
                "query": {"bool": {"filter": [*wanted, in_minute(minute_ms)]}},
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

    def priors(self, digests: Collection[str]) -> dict[str, float]:
        """Return the prior (share of higher prices in training) of each model that has a training record."""
        unknown = sorted(set(digests) - self._priors.keys())
        if unknown:
            query = {"bool": {"filter": [{"terms": {"digest": unknown}}, {"exists": {"field": "prior"}}]}}
            fields = ["digest", "prior"]
            response = self._sink.query(
                lambda client: search(
                    client, [names.INDEX_MODELS], size=1_000, query=query, docvalue_fields=fields, source=False
                )
            )
            for hit in response["hits"]["hits"]:
                self._priors[hit["fields"]["digest"][0]] = float(hit["fields"]["prior"][0])
        return {digest: self._priors[digest] for digest in digests if digest in self._priors}

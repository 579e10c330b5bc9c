"""Candles of one instrument, and the predictions and outcomes of each minute. Pure."""

from typing import Any, Final

from tapeline import names
from tapeline.enums import PredictionState
from tapeline.instrument import Instrument
from tapeline.records import candle

from tapeline_board.api.query_params import MINUTES_MAX, Filters, Span
from tapeline_board.api.schemas.market import CandleRow, CandlesResponse, Marker, MarkersResponse, RollingWindow
from tapeline_board.clients.search import Body, SearchRequest, aggregations, filter_query, instrument_fields, span_query

RECENT: Final = 60
"""Candles at the start of a stream; a page that reconnects later requests all of them anyway."""
# A candle becomes searchable up to a refresh interval after its `updated_at`.
OVERLAP_MS: Final = 10_000
_INDEX: Final = f"{names.INDEX_CANDLES_PREFIX}*"
_COLUMNS: Final = tuple(name for name in CandleRow.model_fields if name != "at")
_SOURCE: Final = ["@timestamp", *_COLUMNS, *candle.windowed_fields()]


def _candles_request(query: Body, size: int) -> SearchRequest:
    sort = [{"@timestamp": {"order": "desc", "unmapped_type": "date"}}]
    return SearchRequest(_INDEX, {"size": size, "sort": sort, "query": query, "_source": _SOURCE})


def span_request(span: Span, instrument: Instrument) -> SearchRequest:
    """Return the request for the candles of a span, newest first."""
    return _candles_request(span_query(span, Filters((instrument,))), MINUTES_MAX + 1)


def recent_request(instrument: Instrument) -> SearchRequest:
    """Return the request for the newest candles."""
    return _candles_request(filter_query(Filters((instrument,))), RECENT)


def changed_request(instrument: Instrument, since_ms: int) -> SearchRequest:
    """Return the request for candles that were written after some time, newest first."""
    written = {"range": {"updated_at": {"gt": since_ms - OVERLAP_MS, "format": "epoch_millis"}}}
    return _candles_request(filter_query(Filters((instrument,)), written), MINUTES_MAX)


def candles_response(instrument: Instrument, found: list[Body], newest: Body | None = None) -> CandlesResponse:
    """Return the response for candle documents, newest first.

    Args:
        instrument: whose candles.
        found: candles; one more than MINUTES_MAX means that there are more.
        newest: newest of all candles, where `found` has only the changed ones; None: `found` is a snapshot.
    """
    kept = found[:MINUTES_MAX]
    last = newest or next(iter(kept), None)
    return CandlesResponse(
        **instrument_fields(instrument),
        candles=[_parse_row(document) for document in reversed(kept)],
        windows=_windows(last) if last else [],
        is_truncated=len(found) > len(kept),
        is_snapshot=newest is None,
    )


def _parse_row(document: Body) -> Any:
    return CandleRow.model_validate({"at": document["@timestamp"], **{name: document.get(name) for name in _COLUMNS}})


def _windows(document: Body) -> list[RollingWindow]:
    return [
        RollingWindow.model_validate(
            {"window": window, **{name: document.get(f"{name}_{window}") for name in candle.WINDOWED}}
        )
        for window in candle.WINDOWS_MINUTES
    ]


class CandleChanges:
    """Candles that a stream has published; finds those that changed."""

    def __init__(self) -> None:
        """Begin empty."""
        self._known: dict[int, Body] = {}
        self.written_ms = 0
        """Latest `updated_at` of the known candles; 0 before the first."""

    def update(self, found: list[Body]) -> list[Body]:
        """Add candles; return those that are new or newer than the known ones, newest first."""
        fresh = [one for one in found if self._updated_at(one["@timestamp"]) < one["updated_at"]]
        for one in fresh:
            self._known[one["@timestamp"]] = one
            self.written_ms = max(self.written_ms, one["updated_at"])
        for minute in sorted(self._known)[:-MINUTES_MAX]:
            del self._known[minute]
        return fresh

    def recent(self) -> list[Body]:
        """Return the newest candles as they are now, newest first."""
        return [self._known[minute] for minute in sorted(self._known, reverse=True)[:RECENT]]

    def _updated_at(self, minute_ms: int) -> int:
        known = self._known.get(minute_ms)
        return -1 if known is None else int(known["updated_at"])


def _per_minute(aggs: Body) -> Body:
    histogram = {"field": "@timestamp", "fixed_interval": "1m", "min_doc_count": 1}
    return {"minutes": {"date_histogram": histogram, "aggs": aggs}}


def predicted_request(span: Span, instrument: Instrument) -> SearchRequest:
    """Return the request for the predictions of each minute."""
    aggs = {"ups": {"filter": {"term": {"prediction": 1}}}, "mean": {"avg": {"field": "probability"}}}
    query = span_query(span, Filters((instrument,)), {"term": {"prediction_state": PredictionState.OK}})
    return SearchRequest(f"{names.INDEX_TRADES_PREFIX}*", {"size": 0, "query": query, "aggs": _per_minute(aggs)})


def scored_request(span: Span, instrument: Instrument) -> SearchRequest:
    """Return the request for the outcomes of the predictions of each minute."""
    aggs = {name: {"sum": {"field": name}} for name in ("predictions", "hits")}
    body = {"size": 0, "query": span_query(span, Filters((instrument,))), "aggs": _per_minute(aggs)}
    return SearchRequest(f"{names.INDEX_SCORES_PREFIX}*", body)


def markers_response(instrument: Instrument, predicted: Body, scored: Body) -> MarkersResponse:
    """Return the response, parsed from both search responses, oldest minute first."""
    outcomes = {bucket["key"]: bucket for bucket in aggregations(scored).get("minutes", {}).get("buckets", [])}
    found = [
        Marker(
            at=bucket["key"],
            predictions=bucket["doc_count"],
            ups=bucket["ups"]["doc_count"],
            mean_probability=bucket["mean"]["value"],
            scored=_sum(outcomes.get(bucket["key"]), "predictions"),
            hits=_sum(outcomes.get(bucket["key"]), "hits"),
        )
        for bucket in aggregations(predicted).get("minutes", {}).get("buckets", [])
    ]
    kept = found[-MINUTES_MAX:]
    return MarkersResponse(**instrument_fields(instrument), markers=kept, is_truncated=len(found) > len(kept))


def _sum(bucket: Body | None, name: str) -> int:
    return 0 if bucket is None else round(bucket[name]["value"])

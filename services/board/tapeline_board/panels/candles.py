"""One symbol's candles, and what was predicted in each of their minutes. Pure."""

from typing import Any, Final

from tapeline import names
from tapeline.records import candle

from tapeline_board.api.query_params import MINUTES_MAX, Filters, Span
from tapeline_board.api.schemas.market import (
    CandleRow,
    CandlesAnswer,
    Marker,
    MarkersAnswer,
    WindowFigures,
)
from tapeline_board.clients.search import (
    Body,
    Question,
    all_of,
    matching,
    of,
)

RECENT: Final = 60
"""Candles at the start of a stream; a page that was away for longer asks for all of them anyway."""
# A candle becomes searchable up to a refresh interval after the moment that is written in it.
OVERLAP_MS: Final = 10_000
_INDEX: Final = f"{names.INDEX_CANDLES_PREFIX}*"
_COLUMNS: Final = tuple(name for name in CandleRow.model_fields if name != "at")
_SOURCE: Final = ["@timestamp", *_COLUMNS, *candle.windowed_fields()]


def _candles(query: Body, size: int) -> Question:
    sort = [{"@timestamp": {"order": "desc", "unmapped_type": "date"}}]
    return Question(_INDEX, {"size": size, "sort": sort, "query": query, "_source": _SOURCE})


def span_question(span: Span, filters: Filters) -> Question:
    """Return the question for the candles of a span, the newest first."""
    return _candles(all_of(span, filters), MINUTES_MAX + 1)


def recent_question(filters: Filters) -> Question:
    """Return the question for the newest candles."""
    return _candles(matching(filters), RECENT)


def changed_question(filters: Filters, since_ms: int) -> Question:
    """Return the question for candles that were written after some time, the newest first."""
    written = {"range": {"updated_at": {"gt": since_ms - OVERLAP_MS, "format": "epoch_millis"}}}
    return _candles(matching(filters, written), MINUTES_MAX)


def candles(filters: Filters, found: list[Body], newest: Body | None = None) -> CandlesAnswer:
    """Return the answer of some candle documents, newest first.

    Args:
        filters: market_type and symbol.
        found: candles, at most one more than MINUTES_MAX, which says that there are more.
        newest: of all candles, where `found` are only those that changed; None: `found` is all that there is to know.
    """
    kept = found[:MINUTES_MAX]
    last = newest or next(iter(kept), None)
    return CandlesAnswer(
        **_market(filters),
        candles=[_row(document) for document in reversed(kept)],
        windows=_windows(last) if last else [],
        is_cut=len(found) > len(kept),
        is_whole=newest is None,
    )


def _market(filters: Filters) -> dict[str, Any]:
    return {"market_type": filters.market_type, "symbol": filters.symbols[0]}


def _row(document: Body) -> Any:
    return CandleRow.model_validate({"at": document["@timestamp"], **{name: document.get(name) for name in _COLUMNS}})


def _windows(document: Body) -> list[WindowFigures]:
    return [
        WindowFigures.model_validate(
            {"window": window, **{name: document.get(f"{name}_{window}") for name in candle.WINDOWED}}
        )
        for window in candle.WINDOWS_MINUTES
    ]


class Changes:
    """What of a symbol's candles a stream has told, so that it tells only news."""

    def __init__(self) -> None:
        """Know nothing."""
        self._known: dict[int, Body] = {}
        self.written_ms = 0
        """The latest moment at which a candle was written, of those that were seen; 0 before the first."""

    def take(self, found: list[Body]) -> list[Body]:
        """Return those of some candles that were not seen in this form, newest first."""
        fresh = [one for one in found if self._written(one["@timestamp"]) < one["updated_at"]]
        for one in fresh:
            self._known[one["@timestamp"]] = one
            self.written_ms = max(self.written_ms, one["updated_at"])
        for minute in sorted(self._known)[:-MINUTES_MAX]:
            del self._known[minute]
        return fresh

    def recent(self) -> list[Body]:
        """Return the newest candles as they are now, newest first."""
        return [self._known[minute] for minute in sorted(self._known, reverse=True)[:RECENT]]

    def _written(self, minute_ms: int) -> int:
        known = self._known.get(minute_ms)
        return -1 if known is None else int(known["updated_at"])


def _per_minute(aggs: Body) -> Body:
    histogram = {"field": "@timestamp", "fixed_interval": "1m", "min_doc_count": 1}
    return {"minutes": {"date_histogram": histogram, "aggs": aggs}}


def predicted_question(span: Span, filters: Filters) -> Question:
    """Return the question for the predictions of each minute."""
    aggs = {"ups": {"filter": {"term": {"prediction": 1}}}, "mean": {"avg": {"field": "probability"}}}
    query = all_of(span, filters, {"term": {"prediction_state": names.STATE_OK}})
    return Question(f"{names.INDEX_TRADES_PREFIX}*", {"size": 0, "query": query, "aggs": _per_minute(aggs)})


def scored_question(span: Span, filters: Filters) -> Question:
    """Return the question for how the predictions of each minute turned out."""
    aggs = {name: {"sum": {"field": name}} for name in ("predictions", "hits")}
    body = {"size": 0, "query": all_of(span, filters), "aggs": _per_minute(aggs)}
    return Question(f"{names.INDEX_SCORES_PREFIX}*", body)


def markers(filters: Filters, predicted: Body, scored: Body) -> MarkersAnswer:
    """Return the answer out of both answers, oldest minute first."""
    outcomes = {bucket["key"]: bucket for bucket in of(scored).get("minutes", {}).get("buckets", [])}
    found = [
        Marker(
            at=bucket["key"],
            predictions=bucket["doc_count"],
            ups=bucket["ups"]["doc_count"],
            mean_probability=bucket["mean"]["value"],
            scored=_sum(outcomes.get(bucket["key"]), "predictions"),
            hits=_sum(outcomes.get(bucket["key"]), "hits"),
        )
        for bucket in of(predicted).get("minutes", {}).get("buckets", [])
    ]
    kept = found[-MINUTES_MAX:]
    return MarkersAnswer(**_market(filters), markers=kept, is_cut=len(found) > len(kept))


def _sum(bucket: Body | None, name: str) -> int:
    return 0 if bucket is None else round(bucket[name]["value"])

"""Reconciliation: counts by stage, minute and instrument, and whether they are reconciled. Pure.

"Reconciled" needs proof: at least one minute, none that is not complete except the newest ones, and those are recent.
"""

from typing import Any, Final

from tapeline import names
from tapeline.enums import ReconciliationState
from tapeline.instrument import Instrument
from tapeline.records import candle

from tapeline_board.api.query_params import ALL, MINUTES_MAX, Filters, Span
from tapeline_board.api.schemas.reconciliation import (
    ReconciliationMinute,
    ReconciliationResponse,
    ReconciliationSymbol,
)
from tapeline_board.clients.search import (
    Body,
    SearchRequest,
    aggregations,
    by_instrument,
    instrument_buckets,
    instrument_fields,
    lacks_instruments,
    span_query,
    sum_aggs,
)

SYMBOLS_MAX: Final = 500
OPEN_MS: Final = 600_000
"""A minute that is open for longer after its end is overdue."""
STALE_MS: Final = 600_000
"""A newest minute that is older than this means that the reconciler has stopped."""
_COUNTS: Final = ("received", "produced", "logged", "distinct", "indexed", "rejected", "gaps")
_WORST_FIRST: Final = (
    ReconciliationState.INCOMPLETE,
    ReconciliationState.GAP,
    ReconciliationState.OPEN,
    ReconciliationState.COMPLETE,
)


def counts_request(span: Span, filters: Filters) -> SearchRequest:
    """Return the request for the reconciliation counts of a span."""
    aggs = sum_aggs(_COUNTS) | {"states": {"terms": {"field": "state", "size": len(_WORST_FIRST)}}}
    histogram = {"field": "@timestamp", "fixed_interval": "1m", "min_doc_count": 1}
    both = {"minutes": {"date_histogram": histogram, "aggs": aggs}, **by_instrument(SYMBOLS_MAX, aggs)}
    body = {"size": 0, "query": span_query(span, filters), "aggs": both}
    return SearchRequest(f"{names.INDEX_RECONCILIATION_PREFIX}*", body)


def rejects_request(span: Span) -> SearchRequest:
    """Return the request for the number of rejects of a span, of all instruments and without one."""
    return SearchRequest(names.INDEX_REJECTS, {"size": 0, "query": span_query(span, ALL), "track_total_hits": True})


def reconciliation_response(span: Span, now_ms: int, found: Body, rejected: Body) -> ReconciliationResponse:
    """Return the response, parsed from both search responses.

    Args:
        span: as requested.
        now_ms: the clock; a span that ends before it cannot be stale.
        found: response to `counts_request`.
        rejected: response to `rejects_request`.
    """
    counts = aggregations(found)
    minutes = [_parse_minute(bucket) for bucket in counts.get("minutes", {}).get("buckets", [])]
    symbols = [_parse_symbol(instrument, bucket) for instrument, bucket in instrument_buckets(counts)]
    symbols.sort(key=lambda row: (_WORST_FIRST.index(row.state), row.instrument))
    rejects = int(rejected["hits"]["total"]["value"])
    reasons = _reasons(span, now_ms, minutes, rejects)
    return ReconciliationResponse(
        from_at=span.from_ms,
        to_at=span.to_ms,
        is_reconciled=not reasons,
        reasons=reasons,
        rejects=rejects,
        minutes=minutes[-MINUTES_MAX:],
        symbols=symbols[:SYMBOLS_MAX],
        is_truncated=lacks_instruments(counts) or len(symbols) > SYMBOLS_MAX or len(minutes) > MINUTES_MAX,
    )


def _reasons(span: Span, now_ms: int, minutes: list[ReconciliationMinute], rejects: int) -> list[Any]:
    end_ms = min(now_ms, span.to_ms)
    states = {minute.state for minute in minutes}
    oldest_open_ms = min((minute.at for minute in minutes if minute.state is ReconciliationState.OPEN), default=now_ms)
    newest_ms = max((minute.at for minute in minutes), default=now_ms)
    conditions = {
        "nothing": not minutes or states == {ReconciliationState.OPEN},
        "stale": bool(minutes) and newest_ms + candle.MINUTE_MS + STALE_MS < end_ms,
        "overdue": oldest_open_ms + candle.MINUTE_MS + OPEN_MS < now_ms,
        "incomplete": ReconciliationState.INCOMPLETE in states,
        "gap": ReconciliationState.GAP in states,
        "rejects": rejects > 0,
    }
    return [reason for reason, holds in conditions.items() if holds]


def _parse_counts(bucket: Body) -> dict[str, Any]:
    states = {one["key"] for one in bucket["states"]["buckets"]}
    counts = {name: round(bucket[name]["value"]) for name in _COUNTS}
    return {"state": next(state for state in _WORST_FIRST if state in states), **counts}


def _parse_minute(bucket: Body) -> ReconciliationMinute:
    return ReconciliationMinute(at=bucket["key"], symbols=bucket["doc_count"], **_parse_counts(bucket))


def _parse_symbol(instrument: Instrument, bucket: Body) -> ReconciliationSymbol:
    by_state = {one["key"]: one["doc_count"] for one in bucket["states"]["buckets"]}
    return ReconciliationSymbol(
        **instrument_fields(instrument),
        minutes=bucket["doc_count"],
        not_complete=by_state.get(ReconciliationState.GAP, 0) + by_state.get(ReconciliationState.INCOMPLETE, 0),
        **_parse_counts(bucket),
    )

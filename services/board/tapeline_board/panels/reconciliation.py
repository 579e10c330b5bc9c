"""The books: what each hand counted, by minute and by symbol, and whether all of it balances. Pure.

Green is a claim, so it needs proof: at least one minute, none that is not complete but for the newest, and those new.
"""

from typing import Any, Final

from tapeline import names
from tapeline.records import candle

from tapeline_board.api.query_params import ALL, MINUTES_MAX, Filters, Span
from tapeline_board.api.schemas.judgement import BookMinute, BookState, BookSymbol, CompletenessAnswer
from tapeline_board.clients.search import (
    Body,
    Question,
    all_of,
    by_symbol,
    left_out,
    of,
    sums,
    symbol_buckets,
)

SYMBOLS_MAX: Final = 500
OPEN_MS: Final = 600_000
"""A minute that is open for longer after its end is overdue."""
STALE_MS: Final = 600_000
"""Where the newest minute is older than this, nobody keeps the books any more."""
_COUNTS: Final = ("received", "produced", "logged", "distinct", "indexed", "rejected", "gaps")
_WORST_FIRST: Final[tuple[BookState, ...]] = ("incomplete", "gap", "open", "complete")


def question(span: Span, filters: Filters) -> Question:
    """Return the question for the books of a span."""
    aggs = sums(_COUNTS) | {"states": {"terms": {"field": "state", "size": len(_WORST_FIRST)}}}
    histogram = {"field": "@timestamp", "fixed_interval": "1m", "min_doc_count": 1}
    both = {"minutes": {"date_histogram": histogram, "aggs": aggs}, **by_symbol(SYMBOLS_MAX, aggs)}
    body = {"size": 0, "query": all_of(span, filters), "aggs": both}
    return Question(f"{names.INDEX_RECONCILIATION_PREFIX}*", body)


def rejects_question(span: Span) -> Question:
    """Return the question for how much of a span could not be read, of whatever symbol."""
    return Question(names.INDEX_REJECTS, {"size": 0, "query": all_of(span, ALL), "track_total_hits": True})


def answer(span: Span, now_ms: int, found: Body, rejected: Body) -> CompletenessAnswer:
    """Return the answer out of both answers.

    Args:
        span: that was asked for.
        now_ms: the clock; a span that ends before it cannot be stale.
        found: answer to `question`.
        rejected: answer to `rejects_question`.
    """
    minutes = [_minute(bucket) for bucket in of(found).get("minutes", {}).get("buckets", [])]
    symbols = [_symbol(market_type, symbol, bucket) for market_type, symbol, bucket in symbol_buckets(of(found))]
    symbols.sort(key=lambda row: (_WORST_FIRST.index(row.state), row.market_type, row.symbol))
    rejects = int(rejected["hits"]["total"]["value"])
    reasons = _reasons(span, now_ms, minutes, rejects)
    return CompletenessAnswer(
        from_at=span.from_ms,
        to_at=span.to_ms,
        is_balanced=not reasons,
        reasons=reasons,
        rejects=rejects,
        minutes=minutes[-MINUTES_MAX:],
        symbols=symbols[:SYMBOLS_MAX],
        is_cut=left_out(of(found)) or len(symbols) > SYMBOLS_MAX or len(minutes) > MINUTES_MAX,
    )


def _reasons(span: Span, now_ms: int, minutes: list[BookMinute], rejects: int) -> list[Any]:
    end_ms = min(now_ms, span.to_ms)
    states = {minute.state for minute in minutes}
    oldest_open_ms = min((minute.at for minute in minutes if minute.state == "open"), default=now_ms)
    newest_ms = max((minute.at for minute in minutes), default=now_ms)
    told = {
        "nothing": not minutes or states == {"open"},
        "stale": bool(minutes) and newest_ms + candle.MINUTE_MS + STALE_MS < end_ms,
        "overdue": oldest_open_ms + candle.MINUTE_MS + OPEN_MS < now_ms,
        "incomplete": "incomplete" in states,
        "gap": "gap" in states,
        "rejects": rejects > 0,
    }
    return [reason for reason, holds in told.items() if holds]


def _counts(bucket: Body) -> dict[str, Any]:
    seen = {one["key"] for one in bucket["states"]["buckets"]}
    counts = {name: round(bucket[name]["value"]) for name in _COUNTS}
    return {"state": next(state for state in _WORST_FIRST if state in seen), **counts}


def _minute(bucket: Body) -> BookMinute:
    return BookMinute(at=bucket["key"], symbols=bucket["doc_count"], **_counts(bucket))


def _symbol(market_type: Any, symbol: str, bucket: Body) -> BookSymbol:
    by_state = {one["key"]: one["doc_count"] for one in bucket["states"]["buckets"]}
    bad = by_state.get("gap", 0) + by_state.get("incomplete", 0)
    minutes = bucket["doc_count"]
    return BookSymbol(market_type=market_type, symbol=symbol, minutes=minutes, not_complete=bad, **_counts(bucket))

"""The list of instruments: statistics from the candles of the last hour, and the newest trade of each. Pure.

Candles, not trades: 60 documents an instrument, however many trades an hour had.
"""

from typing import Final

from tapeline import names
from tapeline.instrument import Instrument

from tapeline_board.api.query_params import ALL, Span
from tapeline_board.api.schemas.market import SymbolRow, SymbolsResponse
from tapeline_board.clients.search import (
    NEWEST,
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
MINUTES: Final = 60
NEWEST_MS: Final = 300_000
"""How far back the newest trade of an instrument is searched."""
_SUMS: Final = ("trades", "notional", "volume", "buy_volume")
_SHOWN: Final = ("price", "@timestamp", "probability", "prediction", "prediction_state")


def _top_hit(field: str, order: str, wanted: str) -> Body:
    return {"top_hits": {"size": 1, "sort": [{field: order}], "_source": [wanted]}}


def hour_request(span: Span) -> SearchRequest:
    """Return the request for every instrument's candles of a span."""
    ends = {"first": _top_hit("@timestamp", "asc", "open"), "last": _top_hit("@timestamp", "desc", "close")}
    aggs = by_instrument(SYMBOLS_MAX, sum_aggs(_SUMS) | ends, order=[{"trades": "desc"}, {"_key": "asc"}])
    index = f"{names.INDEX_CANDLES_PREFIX}*"
    return SearchRequest(index, {"size": 0, "query": span_query(span, ALL), "aggs": aggs})


def newest_request(now_ms: int) -> SearchRequest:
    """Return the request for every instrument's newest trade."""
    hit = {"top_hits": {"size": 1, "sort": NEWEST, "_source": list(_SHOWN)}}
    span = Span(now_ms - NEWEST_MS, now_ms + NEWEST_MS)
    aggs = by_instrument(SYMBOLS_MAX, {"newest": hit})
    return SearchRequest(f"{names.INDEX_TRADES_PREFIX}*", {"size": 0, "query": span_query(span, ALL), "aggs": aggs})


def symbols_response(span: Span, hour: Body, newest: Body) -> SymbolsResponse:
    """Return the list, parsed from both search responses, most trades first."""
    trades = {
        instrument: bucket["newest"]["hits"]["hits"][0]["_source"]
        for instrument, bucket in instrument_buckets(aggregations(newest))
    }
    rows = [
        _parse_row(instrument, bucket, trades.get(instrument))
        for instrument, bucket in instrument_buckets(aggregations(hour))
    ]
    rows.sort(key=lambda row: (-row.trades, row.instrument))
    is_truncated = lacks_instruments(aggregations(hour)) or len(rows) > SYMBOLS_MAX
    return SymbolsResponse(
        from_at=span.from_ms, to_at=span.to_ms, symbols=rows[:SYMBOLS_MAX], is_truncated=is_truncated
    )


def _parse_row(instrument: Instrument, bucket: Body, trade: Body | None) -> SymbolRow:
    first = bucket["first"]["hits"]["hits"][0]["_source"]["open"]
    last = bucket["last"]["hits"]["hits"][0]["_source"]["close"] if trade is None else float(trade["price"])
    volume, bought = bucket["volume"]["value"], bucket["buy_volume"]["value"]
    known = trade or {}
    row = {
        **instrument_fields(instrument),
        "last_price": last,
        "change_bp": (last / first - 1) * 10_000 if first else None,
        "trades": round(bucket["trades"]["value"]),
        "notional": bucket["notional"]["value"],
        # Rounding of doubles may give slightly more than 1 where all volume is bought.
        "buy_share": min(bought / volume, 1.0) if volume else None,
        "traded_at": known.get("@timestamp"),
        "state": known.get("prediction_state"),
        **{name: known.get(name) for name in ("probability", "prediction")},
    }
    return SymbolRow.model_validate(row)

"""The list of symbols: what the candles of the last hour say, and the newest trade of each. Pure.

Candles, not trades: 60 documents a symbol, however many trades an hour had.
"""

from typing import Final

from tapeline import names

from tapeline_board.api.query_params import ALL, Span
from tapeline_board.api.schemas.market import SymbolRow, SymbolsAnswer
from tapeline_board.clients.search import (
    NEWEST,
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
MINUTES: Final = 60
NEWEST_MS: Final = 300_000
"""How far back the newest trade of a symbol is looked for."""
_SUMS: Final = ("trades", "notional", "volume", "buy_volume")
_SHOWN: Final = ("price", "@timestamp", "probability", "prediction", "prediction_state")


def _one(field: str, order: str, wanted: str) -> Body:
    return {"top_hits": {"size": 1, "sort": [{field: order}], "_source": [wanted]}}


def hour_question(span: Span) -> Question:
    """Return the question for every symbol's candles of a span."""
    ends = {"first": _one("@timestamp", "asc", "open"), "last": _one("@timestamp", "desc", "close")}
    aggs = by_symbol(SYMBOLS_MAX, sums(_SUMS) | ends, order=[{"trades": "desc"}, {"_key": "asc"}])
    index = f"{names.INDEX_CANDLES_PREFIX}*"
    return Question(index, {"size": 0, "query": all_of(span, ALL), "aggs": aggs})


def newest_question(now_ms: int) -> Question:
    """Return the question for every symbol's newest trade."""
    hit = {"top_hits": {"size": 1, "sort": NEWEST, "_source": list(_SHOWN)}}
    span = Span(now_ms - NEWEST_MS, now_ms + NEWEST_MS)
    aggs = by_symbol(SYMBOLS_MAX, {"newest": hit})
    return Question(f"{names.INDEX_TRADES_PREFIX}*", {"size": 0, "query": all_of(span, ALL), "aggs": aggs})


def answer(span: Span, hour: Body, newest: Body) -> SymbolsAnswer:
    """Return the list out of both answers, most trades first."""
    trades = {
        (market_type, symbol): bucket["newest"]["hits"]["hits"][0]["_source"]
        for market_type, symbol, bucket in symbol_buckets(of(newest))
    }
    rows = [
        _row(market_type, symbol, bucket, trades.get((market_type, symbol)))
        for market_type, symbol, bucket in symbol_buckets(of(hour))
    ]
    rows.sort(key=lambda row: (-row.trades, row.market_type, row.symbol))
    is_cut = left_out(of(hour)) or len(rows) > SYMBOLS_MAX
    return SymbolsAnswer(from_at=span.from_ms, to_at=span.to_ms, symbols=rows[:SYMBOLS_MAX], is_cut=is_cut)


def _row(market_type: str, symbol: str, bucket: Body, trade: Body | None) -> SymbolRow:
    first = bucket["first"]["hits"]["hits"][0]["_source"]["open"]
    last = bucket["last"]["hits"]["hits"][0]["_source"]["close"] if trade is None else float(trade["price"])
    volume, bought = bucket["volume"]["value"], bucket["buy_volume"]["value"]
    known = trade or {}
    row = {
        **{"market_type": market_type, "symbol": symbol, "last_price": last},
        "change_bp": (last / first - 1) * 10_000 if first else None,
        "trades": round(bucket["trades"]["value"]),
        "notional": bucket["notional"]["value"],
        # Sums of doubles: a hair above 1 is possible where all was bought.
        "buy_share": min(bought / volume, 1.0) if volume else None,
        "traded_at": known.get("@timestamp"),
        "state": known.get("prediction_state"),
        **{name: known.get(name) for name in ("probability", "prediction")},
    }
    return SymbolRow.model_validate(row)

"""The newest trades, and which of them a stream has not told yet. Pure."""

from typing import Final

from tapeline import names

from tapeline_board.api.query_params import Filters, Span
from tapeline_board.api.schemas.market import TapeAnswer, TapeTrade
from tapeline_board.clients.search import (
    NEWEST,
    Body,
    Question,
    all_of,
    matching,
    sources,
)

ROWS: Final = 100
"""Trades that a stream shows at most with each look."""
_SOURCE: Final = [name for name in TapeTrade.model_fields if name != "state"] + ["prediction_state"]


def question(filters: Filters, span: Span | None, limit: int = ROWS) -> Question:
    """Return the question for the newest trades, and one more, which says that there are others."""
    query = matching(filters) if span is None else all_of(span, filters)
    body = {"size": limit + 1, "sort": NEWEST, "query": query, "_source": _SOURCE, "track_total_hits": False}
    return Question(f"{names.INDEX_TRADES_PREFIX}*", body)


def answer(found: Body, limit: int = ROWS) -> TapeAnswer:
    """Return the trades of an answer to `question`, newest first."""
    rows = [_row(document) for document in sources(found)]
    return TapeAnswer(trades=rows[:limit], is_cut=len(rows) > limit)


def _row(document: Body) -> TapeTrade:
    fields = {name: document.get(name) for name in TapeTrade.model_fields if name != "state"}
    return TapeTrade.model_validate({**fields, "state": document["prediction_state"]})


def news(before: TapeAnswer, now: TapeAnswer) -> TapeAnswer | None:
    """Return what of `now` was not in `before`; None where that is nothing.

    Late trades are news wherever they stand. Where nothing at all is the same, there may be trades between the two.
    """
    known = {(row.market_type, row.symbol, row.trade_id) for row in before.trades}
    fresh = [row for row in now.trades if (row.market_type, row.symbol, row.trade_id) not in known]
    if not fresh:
        return None
    is_cut = len(fresh) == len(now.trades) and now.is_cut
    return TapeAnswer(trades=fresh, is_cut=is_cut, is_whole=False)

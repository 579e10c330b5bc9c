"""The newest trades, and which of them a stream has not published yet. Pure."""

from typing import Final

from tapeline import names

from tapeline_board.api.query_params import Filters, Span
from tapeline_board.api.schemas.market import TapeResponse, TapeTrade
from tapeline_board.clients.search import NEWEST, Body, SearchRequest, documents, filter_query, span_query

ROWS: Final = 100
"""Most trades of a stream's poll."""
_SOURCE: Final = [name for name in TapeTrade.model_fields if name != "state"] + ["prediction_state"]


def tape_request(filters: Filters, span: Span | None, limit: int = ROWS) -> SearchRequest:
    """Return the request for the newest trades, and one more, which shows that there are others."""
    query = filter_query(filters) if span is None else span_query(span, filters)
    body = {"size": limit + 1, "sort": NEWEST, "query": query, "_source": _SOURCE, "track_total_hits": False}
    return SearchRequest(f"{names.INDEX_TRADES_PREFIX}*", body)


def tape_response(found: Body, limit: int = ROWS) -> TapeResponse:
    """Return the trades of a response to `tape_request`, newest first."""
    rows = [_parse_row(document) for document in documents(found)]
    return TapeResponse(trades=rows[:limit], is_truncated=len(rows) > limit)


def _parse_row(document: Body) -> TapeTrade:
    fields = {name: document.get(name) for name in TapeTrade.model_fields if name != "state"}
    return TapeTrade.model_validate({**fields, "state": document["prediction_state"]})


def new_trades(before: TapeResponse, now: TapeResponse) -> TapeResponse | None:
    """Return the trades of `now` that are not in `before`; None without any.

    Late trades count as new at any position. Without a common trade there may be more trades between the two.
    """
    known = {(row.instrument, row.trade_id) for row in before.trades}
    fresh = [row for row in now.trades if (row.instrument, row.trade_id) not in known]
    if not fresh:
        return None
    is_truncated = len(fresh) == len(now.trades) and now.is_truncated
    return TapeResponse(trades=fresh, is_truncated=is_truncated, is_snapshot=False)

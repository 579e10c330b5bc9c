"""Gaps in the feed as rows. Pure."""

from typing import Final

from tapeline import names
from tapeline.records import gap

from tapeline_board.api.query_params import Filters, Span
from tapeline_board.api.schemas.alerts import GapRow, GapsResponse
from tapeline_board.clients.search import Body, SearchRequest, documents, filter_query

ROWS: Final = 200


def gaps_request(span: Span, filters: Filters) -> SearchRequest:
    """Return the request for the gaps that touch a span."""
    sort = [{"from_traded_at": {"order": "desc", "unmapped_type": "date"}}]
    query = filter_query(filters, *gap.touching_query(span.from_ms, span.to_ms))
    body = {"size": ROWS + 1, "sort": sort, "query": query, "_source": list(GapRow.model_fields)}
    return SearchRequest(names.INDEX_GAPS, body)


def gaps_response(found: Body) -> GapsResponse:
    """Return the gaps of a response to `gaps_request`."""
    rows = [GapRow.model_validate({name: one.get(name) for name in GapRow.model_fields}) for one in documents(found)]
    return GapsResponse(gaps=rows[:ROWS], is_truncated=len(rows) > ROWS)

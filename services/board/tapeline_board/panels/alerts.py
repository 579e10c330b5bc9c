"""Alerts as rows. Pure."""

from typing import Final

from tapeline import names

from tapeline_board.api.query_params import Filters, Span
from tapeline_board.api.schemas.alerts import AlertRow, AlertsResponse
from tapeline_board.clients.search import Body, SearchRequest, documents, span_query

ROWS: Final = 200
_COLUMNS: Final = list(AlertRow.model_fields)


def alerts_request(span: Span, filters: Filters) -> SearchRequest:
    """Return the request for the alerts of a span."""
    sort = [{"@timestamp": {"order": "desc", "unmapped_type": "date"}}]
    body = {"size": ROWS + 1, "sort": sort, "query": span_query(span, filters), "_source": _COLUMNS}
    return SearchRequest(names.INDEX_ALERTS, body)


def alerts_response(found: Body) -> AlertsResponse:
    """Return the alerts of a response to `alerts_request`."""
    rows = [AlertRow.model_validate({name: one.get(name) for name in _COLUMNS}) for one in documents(found)]
    return AlertsResponse(alerts=rows[:ROWS], is_truncated=len(rows) > ROWS)

"""Gaps of the feed and alerts, as rows. Pure."""

from typing import Final

from tapeline import names

from tapeline_board.api.query_params import Filters, Span
from tapeline_board.api.schemas.judgement import AlertRow, AlertsAnswer, GapRow, GapsAnswer
from tapeline_board.clients.search import (
    Body,
    Question,
    all_of,
    matching,
    sources,
)

ROWS: Final = 200


def _newest(field: str) -> list[Body]:
    return [{field: {"order": "desc", "unmapped_type": "date"}}]


def gaps_question(span: Span, filters: Filters) -> Question:
    """Return the question for the gaps that touch a span."""
    touching = (
        {"range": {"from_traded_at": {"lt": span.to_ms, "format": "epoch_millis"}}},
        {"range": {"to_traded_at": {"gte": span.from_ms, "format": "epoch_millis"}}},
    )
    query = matching(filters, *touching)
    body = {"size": ROWS + 1, "sort": _newest("from_traded_at"), "query": query, "_source": list(GapRow.model_fields)}
    return Question(names.INDEX_GAPS, body)


def gaps(found: Body) -> GapsAnswer:
    """Return the gaps of an answer to `gaps_question`."""
    rows = [GapRow.model_validate({name: one.get(name) for name in GapRow.model_fields}) for one in sources(found)]
    return GapsAnswer(gaps=rows[:ROWS], is_cut=len(rows) > ROWS)


def alerts_question(span: Span, filters: Filters) -> Question:
    """Return the question for the alerts about a span."""
    columns = list(AlertRow.model_fields)
    body = {"size": ROWS + 1, "sort": _newest("@timestamp"), "query": all_of(span, filters), "_source": columns}
    return Question(names.INDEX_ALERTS, body)


def alerts(found: Body) -> AlertsAnswer:
    """Return the alerts of an answer to `alerts_question`."""
    rows = [AlertRow.model_validate({name: one.get(name) for name in AlertRow.model_fields}) for one in sources(found)]
    return AlertsAnswer(alerts=rows[:ROWS], is_cut=len(rows) > ROWS)

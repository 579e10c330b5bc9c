"""The served model, the scores of its predictions, and training runs. Pure."""

from typing import Any, Final

from tapeline import names
from tapeline.enums import PredictionState
from tapeline.instrument import Instrument
from tapeline.records import score

from tapeline_board.api.query_params import ALL, Span
from tapeline_board.api.schemas.model import (
    CalibrationBin,
    ModelResponse,
    ModelScores,
    Score,
    ServedModel,
    TrainingRun,
)
from tapeline_board.clients.search import (
    Body,
    SearchRequest,
    aggregations,
    by_instrument,
    documents,
    instrument_buckets,
    instrument_fields,
    span_query,
    sum_aggs,
)

MINUTES: Final = 60
MODELS_MAX: Final = 5
SYMBOLS_MAX: Final = 12
TRAINING_RUNS_MAX: Final = 10
STATES_MS: Final = 300_000
"""How far back prediction states are counted."""
_SUMS: Final = ("predictions", "hits", "ups", "pending", "brier_sum", "prior_brier_sum", "rule_hits")
_BINS: Final = (*score.bin_fields(), *(f"bin_{number}_probability_sum" for number in range(score.BINS)))
_TRAINING_RUN_FIELDS: Final = tuple(name for name in TrainingRun.model_fields if name != "evaluated_at")
_MOST_FIRST: Final = [{"predictions": "desc"}, {"_key": "asc"}]


def scores_request(span: Span) -> SearchRequest:
    """Return the request for the scores of every model."""
    each = by_instrument(SYMBOLS_MAX, sum_aggs(_SUMS), order=_MOST_FIRST)
    models = {
        "terms": {"field": "model_digest", "size": MODELS_MAX, "order": _MOST_FIRST},
        "aggs": sum_aggs((*_SUMS, *_BINS)) | each,
    }
    body = {"size": 0, "query": span_query(span, ALL), "aggs": {"models": models}}
    return SearchRequest(f"{names.INDEX_SCORES_PREFIX}*", body)


def states_request(now_ms: int) -> SearchRequest:
    """Return the request for the counts of recent trades by prediction state."""
    query = span_query(Span(now_ms - STATES_MS, now_ms + STATES_MS), ALL)
    aggs = {"states": {"terms": {"field": "prediction_state", "size": len(PredictionState)}}}
    return SearchRequest(f"{names.INDEX_TRADES_PREFIX}*", {"size": 0, "query": query, "aggs": aggs})


def training_runs_request() -> SearchRequest:
    """Return the request for the last training runs."""
    sort = [{"@timestamp": {"order": "desc", "unmapped_type": "date"}}]
    body = {"size": TRAINING_RUNS_MAX, "sort": sort, "_source": ["@timestamp", *_TRAINING_RUN_FIELDS]}
    return SearchRequest(names.INDEX_MODELS, body)


def model_response(
    span: Span, model: ServedModel | str, scores: Body, states: Body, training_runs: Body
) -> ModelResponse:
    """Return the response, parsed from its parts.

    Args:
        span: of the scores.
        model: the served model, or why there is none.
        scores: response to `scores_request`.
        states: response to `states_request`.
        training_runs: response to `training_runs_request`.
    """
    reason = model if isinstance(model, str) else None
    state_buckets = aggregations(states).get("states", {}).get("buckets", [])
    counted: Any = {bucket["key"]: bucket["doc_count"] for bucket in state_buckets}
    return ModelResponse(
        from_at=span.from_ms,
        to_at=span.to_ms,
        served=None if isinstance(model, str) else model,
        served_reason=reason,
        states=counted,
        scores=[_parse_scores(bucket) for bucket in aggregations(scores).get("models", {}).get("buckets", [])],
        training_runs=[_parse_training_run(document) for document in documents(training_runs)],
    )


def _parse_scores(bucket: Body) -> ModelScores:
    digest = bucket["key"]
    rows = [(instrument, _parse_score(digest, one, instrument)) for instrument, one in instrument_buckets(bucket)]
    rows.sort(key=lambda row: (-row[1].predictions, row[0]))
    bins = [_parse_bin(number, bucket) for number in range(score.BINS)]
    return ModelScores(total=_parse_score(digest, bucket), symbols=[one for _, one in rows[:SYMBOLS_MAX]], bins=bins)


def _parse_score(digest: str, bucket: Body, instrument: Instrument | None = None) -> Score:
    found = {name: bucket[name]["value"] for name in _SUMS}
    predictions, prior = found["predictions"], found["prior_brier_sum"]
    return Score(
        model_digest=digest,
        **({} if instrument is None else instrument_fields(instrument)),
        predictions=round(predictions),
        pending=round(found["pending"]),
        hit_rate=_mean(found["hits"], predictions),
        rule_hit_rate=_mean(found["rule_hits"], predictions),
        base_rate=_mean(found["ups"], predictions),
        brier=_mean(found["brier_sum"], predictions),
        prior_brier=_mean(prior, predictions),
        skill=1 - found["brier_sum"] / prior if prior else None,
    )


def _mean(total: float, count: float) -> float | None:
    return total / count if count else None


def _parse_bin(number: int, bucket: Body) -> CalibrationBin:
    predictions = bucket[f"bin_{number}_predictions"]["value"]
    return CalibrationBin(
        from_probability=number / score.BINS,
        to_probability=(number + 1) / score.BINS,
        predictions=round(predictions),
        mean_probability=_mean(bucket[f"bin_{number}_probability_sum"]["value"], predictions),
        up_share=_mean(bucket[f"bin_{number}_ups"]["value"], predictions),
    )


def _parse_training_run(document: Body) -> TrainingRun:
    fields = {name: document.get(name) for name in _TRAINING_RUN_FIELDS}
    reasons = fields["reasons"] or []
    fields["reasons"] = [reasons] if isinstance(reasons, str) else reasons
    return TrainingRun.model_validate({**fields, "evaluated_at": document["@timestamp"]})

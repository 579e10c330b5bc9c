"""The served model, how its predictions turn out, and what training runs said. Pure."""

from typing import Any, Final

from tapeline import names
from tapeline.records import score

from tapeline_board.api.query_params import ALL, Span
from tapeline_board.api.schemas.judgement import (
    CalibrationBin,
    ModelAnswer,
    ModelScores,
    Score,
    ServedModel,
    Verdict,
)
from tapeline_board.clients.search import (
    Body,
    Question,
    all_of,
    by_symbol,
    of,
    sources,
    sums,
    symbol_buckets,
)

MINUTES: Final = 60
MODELS_MAX: Final = 5
SYMBOLS_MAX: Final = 12
VERDICTS_MAX: Final = 10
STATES_MS: Final = 300_000
"""How far back the states of predictions are counted."""
_SUMS: Final = ("predictions", "hits", "ups", "pending", "brier_sum", "prior_brier_sum", "rule_hits")
_BINS: Final = (*score.bin_fields(), *(f"bin_{number}_probability_sum" for number in range(score.BINS)))
_VERDICT: Final = tuple(name for name in Verdict.model_fields if name != "judged_at")
_MOST_FIRST: Final = [{"predictions": "desc"}, {"_key": "asc"}]


def scores_question(span: Span) -> Question:
    """Return the question for the scores of every model."""
    by_market = by_symbol(SYMBOLS_MAX, sums(_SUMS), order=_MOST_FIRST)
    models = {
        "terms": {"field": "model_digest", "size": MODELS_MAX, "order": _MOST_FIRST},
        "aggs": sums((*_SUMS, *_BINS)) | by_market,
    }
    body = {"size": 0, "query": all_of(span, ALL), "aggs": {"models": models}}
    return Question(f"{names.INDEX_SCORES_PREFIX}*", body)


def states_question(now_ms: int) -> Question:
    """Return the question for how many trades got a prediction lately, and why the others did not."""
    query = all_of(Span(now_ms - STATES_MS, now_ms + STATES_MS), ALL)
    aggs = {"states": {"terms": {"field": "prediction_state", "size": len(names.PREDICTION_STATES)}}}
    return Question(f"{names.INDEX_TRADES_PREFIX}*", {"size": 0, "query": query, "aggs": aggs})


def verdicts_question() -> Question:
    """Return the question for the last training runs."""
    sort = [{"@timestamp": {"order": "desc", "unmapped_type": "date"}}]
    body = {"size": VERDICTS_MAX, "sort": sort, "_source": ["@timestamp", *_VERDICT]}
    return Question(names.INDEX_MODELS, body)


def served(about: Body, now_ms: int) -> ServedModel:
    """Return the served model out of what the inference service tells of it.

    Raises:
        KeyError, ValidationError: it is not the answer of an inference service.
    """
    return ServedModel(
        created_at=about["created_at_ms"],
        expires_at=about["expires_at_ms"],
        is_expired=now_ms >= about["expires_at_ms"],
        **{name: about[name] for name in ("model_digest", "kind", "feature_version", "label_version", "threshold")},
    )


def answer(span: Span, model: ServedModel | str, scores: Body, states: Body, verdicts: Body) -> ModelAnswer:
    """Return the answer out of its parts.

    Args:
        span: of the scores.
        model: what is served, or why nothing is.
        scores: answer to `scores_question`.
        states: answer to `states_question`.
        verdicts: answer to `verdicts_question`.
    """
    reason = model if isinstance(model, str) else None
    counted: Any = {bucket["key"]: bucket["doc_count"] for bucket in of(states).get("states", {}).get("buckets", [])}
    return ModelAnswer(
        from_at=span.from_ms,
        to_at=span.to_ms,
        served=None if isinstance(model, str) else model,
        served_reason=reason,
        states=counted,
        scores=[_scores(bucket) for bucket in of(scores).get("models", {}).get("buckets", [])],
        verdicts=[_verdict(document) for document in sources(verdicts)],
    )


def _scores(bucket: Body) -> ModelScores:
    digest = bucket["key"]
    rows = [_score(digest, one, market_type, symbol) for market_type, symbol, one in symbol_buckets(bucket)]
    rows.sort(key=lambda row: (-row.predictions, row.market_type or "", row.symbol or ""))
    bins = [_bin(number, bucket) for number in range(score.BINS)]
    return ModelScores(total=_score(digest, bucket), symbols=rows[:SYMBOLS_MAX], bins=bins)


def _score(digest: str, bucket: Body, market_type: Any = None, symbol: str | None = None) -> Score:
    found = {name: bucket[name]["value"] for name in _SUMS}
    predictions, prior = found["predictions"], found["prior_brier_sum"]
    return Score(
        model_digest=digest,
        market_type=market_type,
        symbol=symbol,
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


def _bin(number: int, bucket: Body) -> CalibrationBin:
    predictions = bucket[f"bin_{number}_predictions"]["value"]
    return CalibrationBin(
        from_probability=number / score.BINS,
        to_probability=(number + 1) / score.BINS,
        predictions=round(predictions),
        mean_probability=_mean(bucket[f"bin_{number}_probability_sum"]["value"], predictions),
        up_share=_mean(bucket[f"bin_{number}_ups"]["value"], predictions),
    )


def _verdict(document: Body) -> Verdict:
    fields = {name: document.get(name) for name in _VERDICT}
    reasons = fields["reasons"] or []
    fields["reasons"] = [reasons] if isinstance(reasons, str) else reasons
    return Verdict.model_validate({**fields, "judged_at": document["@timestamp"]})

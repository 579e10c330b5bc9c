"""Report of a training run, as one JSON document and one Markdown page.

Pure. Keys of the JSON are stable: add, never rename. The page shows base rates and the limitations of the numbers.
"""

from datetime import UTC, datetime
from typing import Any, Final

from tapeline.model import features, labels

from tapeline_trainer.data.dataset import Dataset
from tapeline_trainer.model.evaluation import Evaluation, Scores, TrainedModel
from tapeline_trainer.model.gate import PromotionDecision
from tapeline_trainer.model.metrics import Interval
from tapeline_trainer.rollout.target import RolloutOutcome

_HEAD: Final = ("accuracy", "mcc", "auc", "pr_auc", "brier", "brier_skill_vs_prior", "ece", "lift_top_10pct")
_TITLES: Final = {
    "forest": "forest",
    "prior": "prior (base rate of training)",
    "rule": "rule: up after a buy",
    "majority": "majority class",
}
_FAILED: Final = {
    "rolled_back": "the new model was rolled back, the old one is served",
    "rollback_failed": "the new model failed and so did the roll-back: check the Deployment",
}
LIMITATIONS: Final = """\
## Limitations

No costs, no latency, no fills, no order book: a direction predicted better than chance is not a
profit, and in the literature such models lose to fees. Probabilities are for the next *different*
price of the same symbol within {horizon_s} s, nothing further ahead. Numbers hold for the test
window only; a few hours of one market say little about another day.
"""


def build_document(
    run_id: str,
    data: Dataset,
    trained: TrainedModel,
    evaluation: Evaluation,
    decision: PromotionDecision,
    digest: str | None,
    outcome: RolloutOutcome,
) -> dict[str, Any]:
    """Return the report as JSON-ready values.

    Args:
        run_id: of this run.
        data: rows of training and test.
        trained: the forest.
        evaluation: its metrics.
        decision: of the promotion gate.
        digest: the model that is served after this run, None where there is none.
        outcome: of the roll-out.
    """
    return {
        "run_id": run_id,
        "promoted": decision.promoted,
        "promoted_kind": {"promote_forest": "forest", "promote_prior": "prior"}.get(decision.action),
        "digest": digest,
        **_rollout(outcome),
        "reasons": list(decision.reasons),
        **{name: evaluation.facts[name] for name in ("rows_train", "rows_test")},
        "base_rate": evaluation.base_rate,
        **{"prior": trained.prior, "threshold": trained.threshold},
        **evaluation.models["forest"],
        "brier_skill_vs_rule": evaluation.brier_skill_vs_rule,
        **_difference("prior", evaluation.brier_minus_prior),
        **_difference("rule", evaluation.brier_minus_rule),
        "bootstrap_blocks": evaluation.brier_minus_prior.blocks,
        **{name: getattr(evaluation, name) for name in ("models", "by_symbol", "next_trade", "facts")},
        "counts": data.counts,
        "data_digest": data.data_digest,
        **{"feature_version": features.VERSION, "label_version": labels.VERSION},
    }


def _rollout(outcome: RolloutOutcome) -> dict[str, Any]:
    image = outcome.reference
    return {
        "rollout": outcome.rollout,
        "rollout_reason": outcome.reason,
        "rollout_seconds": outcome.seconds,
        "image_reference": None if image is None else str(image),
        "image_digest": None if image is None else image.digest,
    }


def _difference(baseline: str, interval: Interval) -> dict[str, float]:
    name = f"brier_minus_{baseline}"
    return {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}


def render_markdown(result: dict[str, Any], warnings: tuple[str, ...]) -> str:
    """Return the report as Markdown.

    Args:
        result: of `build_document`.
        warnings: about the source of the trades.
    """
    parts = [
        f"# Training run {result['run_id']}\n",
        _verdict(result),
        *(f"> Warning: {warning}\n" for warning in warnings),
        _model(result),
        _comparison(result),
        _symbols(result),
        _next_trade(result["next_trade"]),
        LIMITATIONS.format(horizon_s=labels.HORIZON_MS // 1000),
        _data(result),
    ]
    return "\n".join(parts)


def _verdict(result: dict[str, Any]) -> str:
    promoted = {"forest": "forest promoted", "prior": "forest refused, prior promoted"}
    head = _FAILED.get(result["rollout"]) or promoted.get(
        result["promoted_kind"], "forest refused, current model stays"
    )
    reasons = "\n".join(f"* {reason}" for reason in result["reasons"])
    rollout = f"{result['rollout']} ({result['rollout_reason']})"
    return f"**Verdict: {head}.**\n\n{reasons}\n\nServed now: `{result['digest']}`. Roll-out: {rollout}.\n"


def _model(result: dict[str, Any]) -> str:
    facts = result["facts"]
    return (
        "## Model\n\n"
        f"A random forest on {len(features.FEATURE_NAMES)} features (version {result['feature_version']}) "
        "of a symbol's own past trades, which predicts the probability that the next different price is higher "
        f"(label `{result['label_version']}`).\n\n"
        f"Trained on {facts['rows_train']} trades from {_time(facts['training_from_ms'])} to "
        f"{_time(facts['training_to_ms'])}; tested once on {facts['rows_test']} later ones, "
        f"{_time(facts['test_from_ms'])} to {_time(facts['test_to_ms'])}, in {facts['epochs']} epoch(s); "
        f"{facts['rows_purged_or_embargoed']} rows at the splits were used by neither side.\n\n"
        f"**Base rate: {result['base_rate']:.1%} of the test trades were followed by a higher price.** "
        "Always predicting the class that was more frequent in training is right "
        f"{_percent(result['models']['majority']['accuracy'])} of the time; "
        f"the forest, at its threshold {result['threshold']:.3f}, {_percent(result['accuracy'])}.\n"
    )


def _comparison(result: dict[str, Any]) -> str:
    rows = [[_TITLES[name], *(_number(scores[m]) for m in _HEAD)] for name, scores in result["models"].items()]
    lines = [
        f"* Brier, forest minus {name}: {result[f'brier_minus_{name}']:+.5f} "
        f"(95 % interval {result[f'brier_minus_{name}_low']:+.5f} to "
        f"{result[f'brier_minus_{name}_high']:+.5f}, {result['bootstrap_blocks']} blocks); "
        f"skill {_number(result[f'brier_skill_vs_{name}'])}"
        for name in ("prior", "rule")
    ]
    table = _table(["model", *_HEAD], rows)
    return f"## Forest and baselines\n\n{table}\n\n" + "\n".join(lines) + "\n\nLower Brier is better.\n"


def _symbols(result: dict[str, Any]) -> str:
    head = ["symbol", "rows", "base_rate", "mcc", "auc", "brier_skill_vs_prior"]
    rows = [
        [row["symbol"], str(row["rows"]), *(_number(row[name]) for name in head[2:])] for row in result["by_symbol"]
    ]
    return f"## By symbol\n\n{_table(head, rows)}\n\nA symbol with few rows has wide errors.\n"


def _next_trade(scores: Scores) -> str:
    return (
        "## The very next trade\n\n"
        f"{_percent(scores['zero_tick_share'])} of next trades repeat the price; only "
        f"{_percent(scores['base_rate'])} of the test trades were followed by a higher one at once. Always "
        f'predicting "not higher" or its opposite, whichever training favours, is right '
        f"{_percent(scores['majority_accuracy'])} of the time, so accuracy on this label says "
        f"nothing. The same forest ranks it with AUC {_number(scores['auc'])}, PR-AUC "
        f"{_number(scores['pr_auc'])}, lift in the top tenth {_number(scores['lift_top_10pct'])}.\n"
    )


def _data(result: dict[str, Any]) -> str:
    rows = [[name.replace("_", " "), str(count)] for name, count in result["counts"].items()]
    return f"## Data\n\n{_table(['trades', 'count'], rows)}\n\nDigest of the data: `{result['data_digest']}`.\n"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _time(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, tz=UTC):%Y-%m-%d %H:%M:%S} UTC"

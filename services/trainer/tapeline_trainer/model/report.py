"""What a run found, as one JSON document and one page for people.

Pure. Keys of the JSON are stable: add, never rename. The page says base rates aloud, and what the
numbers are not.
"""

from datetime import UTC, datetime
from typing import Any, Final

from tapeline.model import features, labels

from tapeline_trainer.data.dataset import Dataset
from tapeline_trainer.model.evaluation import Judgement, Learnt, Scores
from tapeline_trainer.model.gate import Verdict
from tapeline_trainer.model.metrics import Interval
from tapeline_trainer.rollout.target import Outcome

_HEAD: Final = ("accuracy", "mcc", "auc", "pr_auc", "brier", "brier_skill_vs_prior", "ece", "lift_top_10pct")
_TITLES: Final = {
    "forest": "forest",
    "prior": "prior (base rate of training)",
    "rule": "rule: up after a buy",
    "majority": "majority class",
}
_FAILED: Final = {
    "undone": "the new model was taken back, the old one is served",
    "unsettled": "the new model failed and the old one does not stand again: look at the Deployment",
}
NOT_THIS: Final = """\
## What it is not

No costs, no latency, no fills, no order book: a direction that is guessed better than chance is not a
profit, and in the literature such models lose to fees. Probabilities are for the next *different*
price of the same symbol within {horizon_s} s, nothing further ahead. Numbers hold for the judged
window only; a few hours of one market say little about another day.
"""


def document(
    run_id: str,
    data: Dataset,
    learnt: Learnt,
    judgement: Judgement,
    verdict: Verdict,
    digest: str | None,
    outcome: Outcome,
) -> dict[str, Any]:
    """Return the whole outcome as JSON-ready values.

    Args:
        run_id: of this run.
        data: what was learnt and judged on.
        learnt: the forest.
        judgement: its numbers.
        verdict: what was done.
        digest: the model that is served after this run, None where there is none.
        outcome: what became of the new model.
    """
    return {
        "run_id": run_id,
        "promoted": verdict.promoted,
        "promoted_kind": {"promote_forest": "forest", "promote_prior": "prior"}.get(verdict.action),
        "digest": digest,
        **_rollout(outcome),
        "reasons": list(verdict.reasons),
        **{name: judgement.facts[name] for name in ("rows_train", "rows_test")},
        "base_rate": judgement.base_rate,
        **{"prior": learnt.prior, "threshold": learnt.threshold},
        **judgement.models["forest"],
        "brier_skill_vs_rule": judgement.brier_skill_vs_rule,
        **_difference("prior", judgement.against_prior),
        **_difference("rule", judgement.against_rule),
        "bootstrap_blocks": judgement.against_prior.blocks,
        **{name: getattr(judgement, name) for name in ("models", "by_symbol", "next_trade", "facts")},
        "counts": data.counts,
        "data_digest": data.data_digest,
        **{"feature_version": features.VERSION, "label_version": labels.VERSION},
    }


def _rollout(outcome: Outcome) -> dict[str, Any]:
    image = outcome.reference
    return {
        "rollout": outcome.rollout,
        "rollout_reason": outcome.reason,
        "rollout_seconds": outcome.seconds,
        "image_reference": None if image is None else str(image),
        "image_digest": None if image is None else image.digest,
    }


def _difference(opponent: str, interval: Interval) -> dict[str, float]:
    name = f"brier_minus_{opponent}"
    return {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}


def page(result: dict[str, Any], warnings: tuple[str, ...]) -> str:
    """Return the outcome as Markdown.

    Args:
        result: of `document`.
        warnings: about the source of the trades.
    """
    parts = [
        f"# Training run {result['run_id']}\n",
        _verdict(result),
        *(f"> Warning: {warning}\n" for warning in warnings),
        _what(result),
        _models(result),
        _symbols(result),
        _next_trade(result["next_trade"]),
        NOT_THIS.format(horizon_s=labels.HORIZON_MS // 1000),
        _data(result),
    ]
    return "\n".join(parts)


def _verdict(result: dict[str, Any]) -> str:
    said = {"forest": "forest promoted", "prior": "forest refused, prior promoted"}
    head = _FAILED.get(result["rollout"]) or said.get(result["promoted_kind"], "forest refused, current model stays")
    reasons = "\n".join(f"* {reason}" for reason in result["reasons"])
    rollout = f"{result['rollout']} ({result['rollout_reason']})"
    return f"**Verdict: {head}.**\n\n{reasons}\n\nServed now: `{result['digest']}`. Roll-out: {rollout}.\n"


def _what(result: dict[str, Any]) -> str:
    facts = result["facts"]
    return (
        "## What the model is\n\n"
        f"A random forest on {len(features.FEATURE_NAMES)} features (version {result['feature_version']}) "
        "of a symbol's own past trades, which gives the chance that the next different price is higher "
        f"(label `{result['label_version']}`).\n\n"
        f"Trained on {facts['rows_train']} trades from {_time(facts['training_from_ms'])} to "
        f"{_time(facts['training_to_ms'])}; judged once on {facts['rows_test']} later ones, "
        f"{_time(facts['test_from_ms'])} to {_time(facts['test_to_ms'])}, in {facts['epochs']} epoch(s); "
        f"{facts['rows_purged_or_embargoed']} rows at the cuts were used by neither side.\n\n"
        f"**Base rate: {result['base_rate']:.1%} of the judged trades were followed by a higher price.** "
        "Always giving the answer that was commoner in training is right "
        f"{_percent(result['models']['majority']['accuracy'])} of the time; "
        f"the forest, at its threshold {result['threshold']:.3f}, {_percent(result['accuracy'])}.\n"
    )


def _models(result: dict[str, Any]) -> str:
    rows = [[_TITLES[name], *(_number(scores[m]) for m in _HEAD)] for name, scores in result["models"].items()]
    lines = [
        f"* Brier, forest minus {name}: {result[f'brier_minus_{name}']:+.5f} "
        f"(95 % interval {result[f'brier_minus_{name}_low']:+.5f} to "
        f"{result[f'brier_minus_{name}_high']:+.5f}, {result['bootstrap_blocks']} blocks); "
        f"skill {_number(result[f'brier_skill_vs_{name}'])}"
        for name in ("prior", "rule")
    ]
    table = _table(["model", *_HEAD], rows)
    return f"## Forest against the rest\n\n{table}\n\n" + "\n".join(lines) + "\n\nLower Brier is better.\n"


def _symbols(result: dict[str, Any]) -> str:
    head = ["symbol", "rows", "base_rate", "mcc", "auc", "brier_skill_vs_prior"]
    rows = [
        [row["symbol"], str(row["rows"]), *(_number(row[name]) for name in head[2:])] for row in result["by_symbol"]
    ]
    return f"## By symbol\n\n{_table(head, rows)}\n\nFew rows, little meaning.\n"


def _next_trade(scores: Scores) -> str:
    return (
        "## The very next trade\n\n"
        f"{_percent(scores['zero_tick_share'])} of next trades repeat the price; only "
        f"{_percent(scores['base_rate'])} of the judged ones were followed by a higher one at once. Always "
        f'saying "not higher" or its opposite, whichever training favours, is right '
        f"{_percent(scores['majority_accuracy'])} of the time, which is why accuracy on this label says "
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

"""Trains a forest on earlier trades and evaluates it on later ones.

Pure given the seed. The evaluated forest is the served forest: it never saw the test rows and is not fitted again
on them. The threshold is set with a second forest on the latest part of the training rows, so neither the threshold
nor the trees depend on the test rows.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from tapeline.model import labels
from tapeline.model.features import Bools, Ints

from tapeline_trainer.data.dataset import Dataset
from tapeline_trainer.data.split import Split, split_rows
from tapeline_trainer.errors import InsufficientData
from tapeline_trainer.model import metrics, training
from tapeline_trainer.model.metrics import Interval, Predictions
from tapeline_trainer.settings import Settings

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestClassifier

Scores = dict[str, float | None]
_MORE = "collect trades for longer, or over more symbols, and run again"


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A fitted forest, its threshold, and the split it was fitted on.

    Attributes:
        model: fitted on `split.train`.
        threshold: up where the probability is at or above it.
        prior: share of up among the training rows.
        split: role of every row of the data set.
    """

    model: "RandomForestClassifier"
    threshold: float
    prior: float
    split: Split


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Metrics of the forest and its baselines on the test rows.

    Attributes:
        models: name of the model to its metrics, all symbols pooled.
        by_symbol: one row a symbol: its key, rows, base rate, and the metrics of the forest.
        base_rate: share of up among the test rows.
        brier_minus_prior: Brier score of the forest minus that of the prior.
        brier_minus_rule: Brier score of the forest minus that of the `is_buy` rule.
        brier_skill_vs_rule: share of the rule's Brier score that is saved.
        next_trade: the same forest against the label "the very next trade is higher".
        facts: counts and times of training and test rows.
    """

    models: dict[str, Scores]
    by_symbol: list[dict[str, Any]]
    base_rate: float
    brier_minus_prior: Interval
    brier_minus_rule: Interval
    brier_skill_vs_rule: float | None
    next_trade: Scores
    facts: dict[str, int]


def train(data: Dataset, settings: Settings) -> TrainedModel:
    """Return the forest, its threshold and the split of the rows.

    Raises:
        InsufficientData: too few rows, or one class only, on either side of the split.
    """
    _require("labelled rows", len(data.y), settings.minimum_rows, "TRAINER_MINIMUM_ROWS")
    parts = split_rows(
        data.symbol,
        data.traded_at_ms,
        data.known_at_ms,
        test_share=settings.test_share,
        tuning_share=settings.tuning_share,
        embargo_ms=settings.embargo_ms,
    )
    _require("test rows", int(parts.test.sum()), settings.minimum_test_rows, "TRAINER_MINIMUM_TEST_ROWS")
    for what, rows in (("training", parts.train), ("test", parts.test)):
        present = np.unique(data.y[rows]).tolist()
        if len(present) < 2:
            raise InsufficientData(f"classes among the {what} rows", present, "both, 0 and 1", _MORE)
    parameters = _forest_parameters(settings)
    threshold = _threshold(data, parts, parameters)
    model = training.fit_forest(data.x[parts.train], data.y[parts.train], parameters)
    return TrainedModel(model, threshold, float(data.y[parts.train].mean()), parts)


def _require(what: str, count: int, least: int, setting: str) -> None:
    if count < least:
        raise InsufficientData(f"number of {what}", count, f"at least {least} ({setting})", _MORE)


def _forest_parameters(settings: Settings) -> training.ForestParameters:
    return training.ForestParameters(
        trees=settings.trees,
        leaf_rows=settings.leaf_rows,
        depth=settings.depth,
        samples_per_tree=settings.samples_per_tree,
        jobs=settings.jobs,
        seed=settings.seed,
    )


def _threshold(data: Dataset, parts: Split, parameters: training.ForestParameters) -> float:
    if len(np.unique(data.y[parts.fit])) < 2 or not parts.tune.any():
        return training.NEUTRAL_THRESHOLD
    tuned = training.fit_forest(data.x[parts.fit], data.y[parts.fit], parameters)
    return training.best_threshold(training.probabilities(tuned, data.x[parts.tune]), data.y[parts.tune])


def evaluate(data: Dataset, trained: TrainedModel, settings: Settings) -> Evaluation:
    """Return the metrics of the forest and its baselines on the test rows."""
    train, test = trained.split.train, trained.split.test
    y = data.y[test]
    probability = training.probabilities(trained.model, data.x[test])
    forest = Predictions(probability, probability >= trained.threshold)
    predictions = {
        "forest": forest,
        **metrics.baselines(data.y[train], data.is_buy[train], data.is_buy[test]),
    }
    models = {name: metrics.scores(each, y, trained.prior) for name, each in predictions.items()}
    block = metrics.blocks(trained.split.epoch[test], data.traded_at_ms[test], settings.block_ms)

    def brier_minus(name: str) -> Interval:
        difference = metrics.brier_losses(forest, y) - metrics.brier_losses(predictions[name], y)
        return metrics.paired_interval(difference, block, settings.resamples, settings.seed)

    return Evaluation(
        models=models,
        by_symbol=_by_symbol(data, test, forest, trained.prior),
        base_rate=float(y.mean()),
        brier_minus_prior=brier_minus("prior"),
        brier_minus_rule=brier_minus("rule"),
        brier_skill_vs_rule=metrics.skill(_brier(forest, y), _brier(predictions["rule"], y)),
        next_trade=_next_trade(data, train, test, forest),
        facts=_facts(data, trained.split),
    )


def _brier(predictions: Predictions, y: Ints) -> float:
    return float(metrics.brier_losses(predictions, y).mean())


def _by_symbol(data: Dataset, test: Bools, forest: Predictions, prior: float) -> list[dict[str, Any]]:
    symbol, y = data.symbol[test], data.y[test]
    rows: list[dict[str, Any]] = []
    for number in np.unique(symbol):
        inside = symbol == number
        subset = Predictions(forest.probability[inside], forest.decision[inside])
        facts = {
            "symbol": data.symbols[number],
            "rows": int(inside.sum()),
            "base_rate": float(y[inside].mean()),
        }
        rows.append({**facts, **metrics.scores(subset, y[inside], prior)})
    return sorted(rows, key=lambda row: (-row["rows"], row["symbol"]))


def _next_trade(data: Dataset, train: Bools, test: Bools, forest: Predictions) -> Scores:
    """Metrics of the forest for the label of the very next trade, another event than it predicts: no Brier score."""
    label = data.next_trade[test]
    known = label != labels.ABSENT
    train_label = data.next_trade[train]
    share = (
        float(np.mean(train_label[train_label != labels.ABSENT] == 1)) if np.any(train_label != labels.ABSENT) else 0.0
    )
    subset = Predictions(forest.probability[known], forest.decision[known])
    scores = metrics.scores(subset, label[known], share)
    base_rate = float(label[known].mean()) if known.any() else None
    majority = None if base_rate is None else (base_rate if share >= 0.5 else 1.0 - base_rate)
    return {
        "rows": float(known.sum()),
        "base_rate": base_rate,
        "majority_accuracy": majority,
        "zero_tick_share": data.zero_tick_share,
        **{name: scores[name] for name in ("accuracy", "mcc", "auc", "pr_auc", "lift_top_10pct")},
    }


def _facts(data: Dataset, parts: Split) -> dict[str, int]:
    train, test = data.traded_at_ms[parts.train], data.traded_at_ms[parts.test]
    return {
        "rows_train": len(train),
        "rows_test": len(test),
        "rows_purged_or_embargoed": len(data.y) - len(train) - len(test),
        "epochs": len(np.unique(parts.epoch)),
        "training_from_ms": int(train.min()),
        "training_to_ms": int(train.max()),
        "test_from_ms": int(test.min()),
        "test_to_ms": int(test.max()),
    }

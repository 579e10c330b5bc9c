"""Learning on earlier trades and judging on later ones, in numbers.

Pure given the seed. The forest that is judged is the forest that is served: it never saw the rows that
judge it, and is not grown again on them. The threshold is set by a sister forest on the latest part of
the training time, so that neither the threshold nor the trees know the test.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from tapeline.model import labels
from tapeline.model.features import Bools, Ints

from tapeline_trainer.data.dataset import Dataset
from tapeline_trainer.data.split import Split, split
from tapeline_trainer.errors import TooLittleData
from tapeline_trainer.model import metrics, training
from tapeline_trainer.model.metrics import Answers, Interval
from tapeline_trainer.settings import Settings

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestClassifier

Scores = dict[str, float | None]
_MORE = "collect trades for longer, or over more symbols, and run again"


@dataclass(frozen=True, slots=True)
class Learnt:
    """A forest, and what it was grown on.

    Attributes:
        model: fitted on `roles.train`.
        threshold: up where the probability is at or above it.
        prior: share of up among the training rows.
        roles: of every row of the data set.
    """

    model: "RandomForestClassifier"
    threshold: float
    prior: float
    roles: Split


@dataclass(frozen=True, slots=True)
class Judgement:
    """The forest and its opponents on the rows that judge.

    Attributes:
        models: name of the model to its metrics, all symbols pooled.
        by_symbol: one row a symbol: its key, rows, base rate, and the metrics of the forest.
        base_rate: share of up among the judging rows.
        against_prior: Brier of the forest minus Brier of the prior.
        against_rule: Brier of the forest minus Brier of the `is_buy` rule.
        brier_skill_vs_rule: share of the rule's Brier score that is saved.
        next_trade: the same forest against the label "the very next trade is higher".
        facts: counts and times of the two sides.
    """

    models: dict[str, Scores]
    by_symbol: list[dict[str, Any]]
    base_rate: float
    against_prior: Interval
    against_rule: Interval
    brier_skill_vs_rule: float | None
    next_trade: Scores
    facts: dict[str, int]


def learn(data: Dataset, settings: Settings) -> Learnt:
    """Return the forest, its threshold and the roles of the rows.

    Raises:
        TooLittleData: too few rows, or one class only, on either side of the cut.
    """
    _demand("labelled rows", len(data.y), settings.minimum_rows, "TRAINER_MINIMUM_ROWS")
    roles = split(
        data.symbol,
        data.traded_at_ms,
        data.known_at_ms,
        test_share=settings.test_share,
        tuning_share=settings.tuning_share,
        embargo_ms=settings.embargo_ms,
    )
    _demand("judging rows", int(roles.test.sum()), settings.minimum_test_rows, "TRAINER_MINIMUM_TEST_ROWS")
    for what, rows in (("training", roles.train), ("judging", roles.test)):
        present = np.unique(data.y[rows]).tolist()
        if len(present) < 2:
            raise TooLittleData(f"classes among the {what} rows", present, "both, 0 and 1", _MORE)
    growth = _growth(settings)
    threshold = _threshold(data, roles, growth)
    model = training.grow(data.x[roles.train], data.y[roles.train], growth)
    return Learnt(model, threshold, float(data.y[roles.train].mean()), roles)


def _demand(what: str, count: int, least: int, setting: str) -> None:
    if count < least:
        raise TooLittleData(f"number of {what}", count, f"at least {least} ({setting})", _MORE)


def _growth(settings: Settings) -> training.Growth:
    return training.Growth(
        trees=settings.trees,
        leaf_rows=settings.leaf_rows,
        depth=settings.depth,
        samples_per_tree=settings.samples_per_tree,
        jobs=settings.jobs,
        seed=settings.seed,
    )


def _threshold(data: Dataset, roles: Split, growth: training.Growth) -> float:
    if len(np.unique(data.y[roles.fit])) < 2 or not roles.tune.any():
        return training.NEUTRAL_THRESHOLD
    sister = training.grow(data.x[roles.fit], data.y[roles.fit], growth)
    return training.best_threshold(training.probabilities(sister, data.x[roles.tune]), data.y[roles.tune])


def assess(data: Dataset, learnt: Learnt, settings: Settings) -> Judgement:
    """Return what the judging rows say."""
    train, test = learnt.roles.train, learnt.roles.test
    y = data.y[test]
    probability = training.probabilities(learnt.model, data.x[test])
    forest = Answers(probability, probability >= learnt.threshold)
    answers = {
        "forest": forest,
        **metrics.opponents(data.y[train], data.is_buy[train], data.is_buy[test]),
    }
    models = {name: metrics.scores(answer, y, learnt.prior) for name, answer in answers.items()}
    block = metrics.blocks(learnt.roles.epoch[test], data.traded_at_ms[test], settings.block_ms)

    def against(name: str) -> Interval:
        difference = metrics.brier_losses(forest, y) - metrics.brier_losses(answers[name], y)
        return metrics.paired_interval(difference, block, settings.resamples, settings.seed)

    return Judgement(
        models=models,
        by_symbol=_by_symbol(data, test, forest, learnt.prior),
        base_rate=float(y.mean()),
        against_prior=against("prior"),
        against_rule=against("rule"),
        brier_skill_vs_rule=metrics.skill(_brier(forest, y), _brier(answers["rule"], y)),
        next_trade=_next_trade(data, train, test, forest),
        facts=_facts(data, learnt.roles),
    )


def _brier(answers: Answers, y: Ints) -> float:
    return float(metrics.brier_losses(answers, y).mean())


def _by_symbol(data: Dataset, test: Bools, forest: Answers, prior: float) -> list[dict[str, Any]]:
    symbol, y = data.symbol[test], data.y[test]
    rows: list[dict[str, Any]] = []
    for number in np.unique(symbol):
        inside = symbol == number
        own = Answers(forest.probability[inside], forest.decision[inside])
        facts = {
            "symbol": data.symbols[number],
            "rows": int(inside.sum()),
            "base_rate": float(y[inside].mean()),
        }
        rows.append({**facts, **metrics.scores(own, y[inside], prior)})
    return sorted(rows, key=lambda row: (-row["rows"], row["symbol"]))


def _next_trade(data: Dataset, train: Bools, test: Bools, forest: Answers) -> Scores:
    """The forest's score against the seed's label; its probabilities mean another event, so no Brier."""
    answer = data.next_trade[test]
    known = answer != labels.ABSENT
    taught = data.next_trade[train]
    share = float(np.mean(taught[taught != labels.ABSENT] == 1)) if np.any(taught != labels.ABSENT) else 0.0
    own = Answers(forest.probability[known], forest.decision[known])
    scores = metrics.scores(own, answer[known], share)
    base_rate = float(answer[known].mean()) if known.any() else None
    majority = None if base_rate is None else (base_rate if share >= 0.5 else 1.0 - base_rate)
    return {
        "rows": float(known.sum()),
        "base_rate": base_rate,
        "majority_accuracy": majority,
        "zero_tick_share": data.zero_tick_share,
        **{name: scores[name] for name in ("accuracy", "mcc", "auc", "pr_auc", "lift_top_10pct")},
    }


def _facts(data: Dataset, roles: Split) -> dict[str, int]:
    train, test = data.traded_at_ms[roles.train], data.traded_at_ms[roles.test]
    return {
        "rows_train": len(train),
        "rows_test": len(test),
        "rows_purged_or_embargoed": len(data.y) - len(train) - len(test),
        "epochs": len(np.unique(roles.epoch)),
        "training_from_ms": int(train.min()),
        "training_to_ms": int(train.max()),
        "test_from_ms": int(test.min()),
        "test_to_ms": int(test.max()),
    }

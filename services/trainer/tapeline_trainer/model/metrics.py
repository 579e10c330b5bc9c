"""Metrics of predicted probabilities, and the baselines that a forest is compared with.

Pure. Accuracy alone says nothing on unbalanced labels, so each model is measured by ranking (AUC), by
probability (Brier, its skill, calibration) and by decision (MCC), next to the base rate. Differences are
tested on paired losses, resampled in blocks of time, because trades so close are not independent.
To add a baseline: add it to `baselines`.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from tapeline.model.features import Bools, Floats, Ints

METRICS: Final = (
    *("accuracy", "balanced_accuracy", "mcc", "auc", "pr_auc"),
    *("brier", "brier_skill_vs_prior", "ece", "lift_top_10pct"),
)
_BINS: Final = 10
_TOP_SHARE: Final = 0.10
_INTERVAL: Final = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Predictions:
    """Predictions of one model for some rows.

    Attributes:
        probability: (n,) float64 in [0, 1].
        decision: (n,) bool, up.
    """

    probability: Floats
    decision: Bools


@dataclass(frozen=True, slots=True)
class Interval:
    """95 % interval of a mean paired difference, from resampled blocks."""

    mean: float
    low: float
    high: float
    blocks: int


def baselines(train_y: Ints, train_is_buy: Bools, test_is_buy: Bools) -> dict[str, Predictions]:
    """Return the predictions of the baselines, fitted on the training rows.

    Args:
        train_y: (m,) int64, 0 or 1, not empty.
        train_is_buy: (m,) bool.
        test_is_buy: (n,) bool.
    """
    rate = float(train_y.mean())
    up = np.full(len(test_is_buy), rate >= 0.5)
    after_buy, after_sell = (
        float(train_y[side].mean()) if side.any() else rate for side in (train_is_buy, ~train_is_buy)
    )
    return {
        "prior": Predictions(np.full(len(up), rate), up),
        "rule": Predictions(np.where(test_is_buy, after_buy, after_sell), test_is_buy),
        "majority": Predictions(up.astype(np.float64), up),
    }


def scores(predictions: Predictions, y: Ints, prior: float) -> dict[str, float | None]:
    """Return every metric of one model; None where it is not defined (one class only, no rows).

    Args:
        predictions: of the model.
        y: (n,) int64, 0 or 1.
        prior: base rate of training, for the skill.
    """
    if not len(y):
        return dict.fromkeys(METRICS)
    from sklearn import metrics

    p, decision = predictions.probability, predictions.decision.astype(np.int64)
    both = 0 < y.sum() < len(y)
    brier = float(np.mean((p - y) ** 2))
    return {
        "accuracy": float(metrics.accuracy_score(y, decision)),
        "balanced_accuracy": float(metrics.balanced_accuracy_score(y, decision)) if both else None,
        "mcc": float(metrics.matthews_corrcoef(y, decision)) if both else None,
        "auc": float(metrics.roc_auc_score(y, p)) if both else None,
        "pr_auc": float(metrics.average_precision_score(y, p)) if both else None,
        "brier": brier,
        "brier_skill_vs_prior": skill(brier, float(np.mean((prior - y) ** 2))),
        "ece": calibration_error(p, y),
        "lift_top_10pct": lift(p, y),
    }


def skill(brier: float, reference: float) -> float | None:
    """Return the share of the reference's Brier score that is saved; None against a perfect reference."""
    return 1.0 - brier / reference if reference > 0 else None


def calibration_error(probability: Floats, y: Ints) -> float:
    """Return the expected calibration error over ten equal bins, in [0, 1].

    Args:
        probability: (n,) float64 in [0, 1], not empty.
        y: (n,) int64, 0 or 1.
    """
    bin_of = np.minimum((probability * _BINS).astype(np.int64), _BINS - 1)
    surplus = np.bincount(bin_of, weights=probability - y, minlength=_BINS)
    return float(np.abs(surplus).sum() / len(y))


def lift(probability: Floats, y: Ints) -> float | None:
    """Return how much more often the top tenth is up than all rows; None where no row is up.

    Rows tied at the border count in part, so that a constant model has lift 1 in any order of rows.
    """
    if not y.any():
        return None
    wanted = max(1.0, _TOP_SHARE * len(y))
    border = np.sort(probability)[::-1][int(np.ceil(wanted)) - 1]
    above, tied = probability > border, probability == border
    hits = y[above].sum() + (wanted - above.sum()) * y[tied].mean()
    return float(hits / wanted / y.mean())


def paired_interval(difference: Floats, block: Ints, resamples: int, seed: int) -> Interval:
    """Return the mean of paired loss differences with its 95 % block-bootstrap interval.

    Args:
        difference: (n,) float64, loss of the first model minus loss of the second, not empty.
        block: (n,) int64, rows of one block are drawn together.
        resamples: number of bootstrap samples.
        seed: of the draws.
    """
    _, index = np.unique(block, return_inverse=True)
    sums, sizes = np.bincount(index, weights=difference), np.bincount(index)
    generator = np.random.default_rng(seed)
    means = np.empty(resamples)
    for i in range(resamples):
        drawn = generator.integers(0, len(sums), len(sums))
        means[i] = sums[drawn].sum() / sizes[drawn].sum()
    low, high = np.percentile(means, _INTERVAL)
    return Interval(float(difference.mean()), float(low), float(high), len(sums))


def blocks(epoch: Ints, traded_at_ms: Ints, block_ms: int) -> Ints:
    """Return (n,) int64, the same for rows of one epoch in one stretch of `block_ms`, over all symbols."""
    pairs = np.stack([epoch, traded_at_ms // block_ms], axis=1)
    return np.unique(pairs, axis=0, return_inverse=True)[1].reshape(-1)


def brier_losses(predictions: Predictions, y: Ints) -> Floats:
    """Return (n,) float64, squared error of each probability."""
    losses: Floats = (predictions.probability - y) ** 2
    return losses

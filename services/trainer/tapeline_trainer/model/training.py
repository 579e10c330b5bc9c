"""Fits the forest and sets its threshold.

scikit-learn takes two seconds to import, so a function that needs it imports it: a refused run ends at once.
Pure given its seed. Large leaves calibrate a forest on noisy labels; `class_weight` would destroy the
calibration. The number of rows drawn for a tree bounds the work.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from tapeline.model.features import Floats, Ints

from tapeline_trainer.data.dataset import Singles

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestClassifier

_ROWS_A_LEAF: Final = 2_000
NEUTRAL_THRESHOLD: Final = 0.5


@dataclass(frozen=True, slots=True)
class ForestParameters:
    """Hyperparameters of a forest: see settings.py."""

    trees: int
    leaf_rows: int
    depth: int
    samples_per_tree: int
    jobs: int
    seed: int


def leaf_rows(rows: int, least: int) -> int:
    """Return the least rows in a leaf: `least`, and one leaf in 2,000 of the rows where that is more."""
    return max(least, rows // _ROWS_A_LEAF)


def fit_forest(x: Singles, y: Ints, parameters: ForestParameters) -> "RandomForestClassifier":
    """Return a fitted forest, the same for the same arguments whatever the number of threads.

    Args:
        x: (n, k) float32, finite.
        y: (n,) int64, both classes present.
        parameters: of the forest.
    """
    from sklearn.ensemble import RandomForestClassifier

    drawn = min(parameters.samples_per_tree, len(y))
    forest = RandomForestClassifier(
        n_estimators=parameters.trees,
        # A tree sees at most `drawn` rows, so these size its leaves.
        min_samples_leaf=leaf_rows(drawn, parameters.leaf_rows),
        max_depth=parameters.depth,
        max_samples=drawn,
        n_jobs=parameters.jobs,
        random_state=parameters.seed,
    )
    forest.fit(x, y)
    # Threads sum the trees in the order they finish, which changes the last bit.
    forest.set_params(n_jobs=1)
    return forest


def probabilities(forest: "RandomForestClassifier", x: Singles) -> Floats:
    """Return (n,) float64, probability of class 1; empty for no rows."""
    if not len(x):
        return np.empty(0)
    probability: Floats = forest.predict_proba(x)[:, 1]
    return probability


def best_threshold(probability: Floats, y: Ints) -> float:
    """Return the threshold with the highest Matthews correlation among 99 quantiles.

    A prediction is 1 where the probability is at or above it. Of equally good thresholds, the lowest; 0.5
    where only one class is present.

    Args:
        probability: (n,) float64 in [0, 1].
        y: (n,) int64, 0 or 1.
    """
    if len(np.unique(y)) < 2:
        return NEUTRAL_THRESHOLD
    from sklearn.metrics import matthews_corrcoef

    candidates = np.unique(np.quantile(probability, np.linspace(0.01, 0.99, 99)))
    scores = [matthews_corrcoef(y, probability >= candidate) for candidate in candidates]
    return float(candidates[int(np.argmax(scores))])

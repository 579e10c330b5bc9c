import numpy as np
import pytest
from sklearn.metrics import matthews_corrcoef, roc_auc_score
from tapeline_trainer.model import training
from tapeline_trainer.model.training import ForestParameters

PARAMETERS = ForestParameters(trees=20, leaf_rows=25, depth=12, samples_per_tree=2_000, jobs=1, seed=0)


def rows(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(count, 5)).astype(np.float32)
    return x, (draw.random(count) < 1 / (1 + np.exp(-2 * x[:, 0]))).astype(np.int64)


def test_same_seed_gives_the_same_forest_on_any_number_of_threads() -> None:
    x, y = rows(3_000, 1)
    one = training.probabilities(training.fit_forest(x, y, PARAMETERS), x)
    two = training.probabilities(training.fit_forest(x, y, ForestParameters(20, 25, 12, 2_000, 2, 0)), x)
    assert one.tobytes() == two.tobytes()


def test_leaves_hold_enough_rows_and_trees_stay_shallow() -> None:
    x, y = rows(3_000, 2)
    forest = training.fit_forest(x, y, ForestParameters(5, 40, 3, 10**6, 1, 0))
    assert max(tree.get_depth() for tree in forest.estimators_) <= 3
    assert min(tree.tree_.weighted_n_node_samples.min() for tree in forest.estimators_) >= 40


@pytest.mark.parametrize(("count", "expected"), [(100, 25), (50_000, 25), (60_000, 30), (400_000, 200)])
def test_leaves_grow_with_the_data(count: int, expected: int) -> None:
    assert training.leaf_rows(count, 25) == expected


def auc_of(x: np.ndarray, y: np.ndarray, labels: np.ndarray) -> float:
    forest = training.fit_forest(x[:4_000], labels, PARAMETERS)
    return float(roc_auc_score(y[4_000:], training.probabilities(forest, x[4_000:])))


def test_forest_finds_what_is_there_and_nothing_in_shuffled_labels() -> None:
    x, y = rows(6_000, 3)
    assert auc_of(x, y, y[:4_000]) > 0.8
    draw = np.random.default_rng(4)
    # One shuffle may lean either way by chance; their mean must not.
    fooled = [auc_of(x, y, draw.permutation(y[:4_000])) for _ in range(8)]
    assert abs(np.mean(fooled) - 0.5) < 3 * np.std(fooled, ddof=1) / np.sqrt(8) < 0.12


def test_threshold_is_the_best_of_all_of_its_candidates() -> None:
    draw = np.random.default_rng(5)
    p = draw.random(1_000)
    y = (draw.random(1_000) < p**3).astype(np.int64)
    found = training.best_threshold(p, y)
    best = max(matthews_corrcoef(y, p >= candidate) for candidate in np.quantile(p, np.linspace(0.01, 0.99, 99)))
    assert matthews_corrcoef(y, p >= found) == best


@pytest.mark.parametrize("y", [[], [1, 1, 1], [0, 0, 0]])
def test_threshold_of_one_class_is_neutral(y: list[int]) -> None:
    assert training.best_threshold(np.full(len(y), 0.3), np.array(y, dtype=np.int64)) == 0.5


def test_no_rows_have_no_probabilities() -> None:
    x, y = rows(500, 6)
    assert training.probabilities(training.fit_forest(x, y, PARAMETERS), x[:0]).shape == (0,)

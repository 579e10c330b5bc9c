import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from tapeline.model import forest as forests
from tapeline.model.forest import BundleRefused, Forest

from unit.inference import factories

K = factories.COLUMNS


def chain(depth: int) -> Forest:
    """One tree that goes right at every split, `depth` deep."""
    inner = np.arange(depth)
    count = 2 * depth + 1
    left, right = np.full(count, -1, dtype=np.int32), np.full(count, -1, dtype=np.int32)
    left[2 * inner], right[2 * inner] = 2 * inner + 1, 2 * inner + 2
    return Forest(
        feature=np.where(left == -1, -1, 0).astype(np.int32),
        threshold=np.zeros(count),
        left=left,
        right=right,
        probability=np.full(count, 0.5),
        tree_start=np.array([0, count]),
    )


def changed(field: str, place: int, value: float) -> Callable[[Forest], Forest]:
    def change(forest: Forest) -> Forest:
        array = getattr(forest, field).copy()
        array[place] = value
        return dataclasses.replace(forest, **{field: array})

    return change


@pytest.mark.parametrize(("depth", "leaf"), [(1, 1), (3, 1), (10, 5), (None, 1)])
def test_predict_equals_scikit_learn_to_the_last_bit(depth: int | None, leaf: int) -> None:
    settings = {"depth": depth, "leaf": leaf, "trees": 30}
    forest = factories.forest(**settings)
    x = np.concatenate([factories.rows(2_000, seed=5), factories.edge_rows(forest)])
    expected = factories.expected_probabilities(x, **settings)
    assert forests.predict(forest, x).tobytes() == expected.tobytes()


def test_a_forest_of_scikit_learn_passes_the_check() -> None:
    forests.check(factories.forest(), K)


def test_the_prior_answers_every_row_with_its_base_rate() -> None:
    prior = forests.prior_forest(0.3)
    forests.check(prior, K)
    assert forests.predict(prior, factories.rows(3)).tolist() == [0.3, 0.3, 0.3]


def test_a_row_equal_to_a_threshold_goes_left() -> None:
    stump = dataclasses.replace(chain(1), probability=np.array([0.5, 0.25, 0.75]))
    assert forests.predict(stump, np.array([[0.0], [-0.0], [1e-45]], dtype=np.float32)).tolist() == [0.25, 0.25, 0.75]


SPLIT = 0  # The root of the first tree.
BROKEN = {
    "a child beyond all arrays": (changed("left", SPLIT, 10**9), "left child of node 0 was 1000000000"),
    "a child that is its own parent": (changed("right", SPLIT, SPLIT), "right child of node 0 was 0"),
    "a child in another tree": (changed("right", SPLIT, factories.forest().tree_start[1]), "the end of its tree"),
    "one child only": (changed("left", SPLIT, -1), "both must be -1, or neither"),
    "a column that is not there": (changed("feature", SPLIT, K), f"feature of node 0 was {K}"),
    "a negative column": (changed("feature", SPLIT, -2), "feature of node 0 was -2"),
    "a leaf with a column": (changed("feature", -1, 0), "it must be -1 at a leaf"),
    "a threshold that is no number": (changed("threshold", SPLIT, np.nan), "threshold of node 0 was nan"),
    "an infinite threshold": (changed("threshold", SPLIT, np.inf), "threshold of node 0 was inf"),
    "a probability above one": (changed("probability", 2, 1.5), "probability of node 2 was 1.5"),
    "a probability that is no number": (changed("probability", 2, np.nan), "probability of node 2 was nan"),
    "trees that do not begin at 0": (changed("tree_start", 0, 1), "it must ascend strictly from 0"),
    "an empty tree": (changed("tree_start", 1, 0), "it must ascend strictly from 0"),
    "trees that end elsewhere": (changed("tree_start", -1, 5), "it must ascend strictly from 0"),
    "arrays of unequal length": (
        lambda forest: dataclasses.replace(forest, left=forest.left[:-1]),
        "they must be equal",
    ),
    "an array of another type": (
        lambda forest: dataclasses.replace(forest, left=forest.left.astype(np.int64)),
        "array left was int64",
    ),
    "no tree": (lambda forest: dataclasses.replace(forest, tree_start=np.zeros(1, dtype=np.int64)), "number of trees"),
    "a tree without an end in sight": (lambda _: chain(forests.DEPTH_MAX + 1), "depth of tree 0 was above"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_forest_with_a_broken_rule_is_refused_by_name(case: str) -> None:
    change, message = BROKEN[case]
    with pytest.raises(BundleRefused, match=message) as refused:
        forests.check(change(factories.forest()), K)
    assert refused.value.reason == "structure"


def test_two_parents_of_one_node_are_refused() -> None:
    forest = chain(2)
    with pytest.raises(BundleRefused, match="number of parents"):
        forests.check(changed("left", 0, 3)(forest), K)


def test_depths_count_the_splits_on_the_longest_way() -> None:
    assert forests.depths(chain(forests.DEPTH_MAX)).tolist() == [forests.DEPTH_MAX]
    expected = [tree.tree_.max_depth for tree in factories.model().estimators_]
    assert forests.depths(factories.forest()).tolist() == expected


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_rows_that_are_not_finite_are_refused_by_predict(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        forests.predict(factories.forest(), np.full((1, K), value, dtype=np.float32))


def test_rows_of_float64_are_refused_by_predict() -> None:
    with pytest.raises(ValueError, match="float32"):
        forests.predict(factories.forest(), np.zeros((1, K)))

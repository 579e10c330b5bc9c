from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tapeline.model import forest as forests
from tapeline.model.forest import BundleRefused, Forest
from tapeline_inference import kernel, layout
from tapeline_inference.compiled import CompiledForest

from unit.inference import factories

SHAPES = [{"depth": 1}, {"depth": 4}, {"depth": 10, "leaf": 5}, {"depth": None}, {"depth": 12, "trees": 101}]


def compiled(forest: Forest) -> CompiledForest:
    return CompiledForest(forest, factories.COLUMNS)


@pytest.fixture
def only_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "TREE_NODES_MAX", 0)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_compiled_forest_equals_scikit_learn_to_the_last_bit(shape: dict[str, int]) -> None:
    forest = factories.forest(**shape)
    x = np.concatenate([factories.rows(3_000, seed=7), factories.edge_rows(forest)])
    assert compiled(forest).predict(x).tobytes() == factories.expected_probabilities(x, **shape).tobytes()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.usefixtures("only_wide")
def test_the_form_for_large_trees_equals_scikit_learn_to_the_last_bit(shape: dict[str, int]) -> None:
    forest = factories.forest(**shape)
    x = np.concatenate([factories.rows(1_000, seed=7), factories.edge_rows(forest)])
    assert compiled(forest).predict(x).tobytes() == factories.expected_probabilities(x, **shape).tobytes()


def test_a_hundred_thousand_rows_equal_scikit_learn_to_the_last_bit() -> None:
    shape = {"trees": 60, "depth": 10, "leaf": 2, "count": 20_000}
    x = np.concatenate([factories.rows(100_000, seed=11), factories.edge_rows(factories.forest(**shape))])
    assert (
        compiled(factories.forest(**shape)).predict(x).tobytes()
        == factories.expected_probabilities(x, **shape).tobytes()
    )


def test_every_number_of_rows_around_a_group_and_a_block_is_answered() -> None:
    forest, x = compiled(factories.forest()), factories.rows(2 * kernel.BLOCK_ROWS + 9, seed=4)
    expected = factories.expected_probabilities(x)
    for count in (*range(20), *range(kernel.BLOCK_ROWS - 9, kernel.BLOCK_ROWS + 10), len(x)):
        assert forest.predict(x[:count]).tobytes() == expected[:count].tobytes()


@st.composite
def trees(draw: st.DrawFn) -> Forest:
    """One tree of any shape, with any thresholds a float64 can hold."""
    splits = draw(st.integers(0, 12))
    left, right = [-1], [-1]
    for _ in range(splits):
        leaves = [node for node, child in enumerate(left) if child == -1]
        node = draw(st.sampled_from(leaves))
        left[node], right[node] = len(left), len(left) + 1
        left += [-1, -1]
        right += [-1, -1]
    count = len(left)
    leaf = np.array(left) == -1
    threshold = draw(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=count, max_size=count))
    probability = draw(st.lists(st.floats(0, 1), min_size=count, max_size=count))
    feature = draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))
    return Forest(
        np.where(leaf, -1, feature).astype(np.int32),
        np.where(leaf, 0.0, threshold),
        np.array(left, dtype=np.int32),
        np.array(right, dtype=np.int32),
        np.array(probability, dtype=np.float64),
        np.array([0, count], dtype=np.int64),
    )


@settings(max_examples=60, deadline=None)
@given(trees(), st.integers(0, 2**32 - 1))
def test_any_tree_with_any_thresholds_equals_the_reference(tree: Forest, seed: int) -> None:
    forests.check(tree, 3)
    x = factories.edge_rows(tree, seed, columns=3)[:100]
    assert CompiledForest(tree, 3).predict(x).tobytes() == forests.predict(tree, x).tobytes()


def test_rows_in_another_memory_order_are_answered_the_same() -> None:
    x = factories.rows(40, seed=3)
    assert np.array_equal(
        compiled(factories.forest()).predict(np.asfortranarray(x)[::2]), factories.expected_probabilities(x[::2])
    )


def test_two_threads_on_one_forest_do_not_disturb_each_other() -> None:
    forest, batches = compiled(factories.forest()), [factories.rows(3_000, seed=seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(forest.predict, batches))
    assert all(
        np.array_equal(result, factories.expected_probabilities(x)) for result, x in zip(results, batches, strict=True)
    )


@pytest.mark.parametrize("x", [np.zeros((2, 3), dtype=np.float32), np.zeros((2, factories.COLUMNS)), np.zeros(5)])
def test_rows_that_the_kernel_could_not_survive_are_refused(x: np.ndarray) -> None:
    with pytest.raises(ValueError, match="they must be float32"):
        compiled(factories.forest()).predict(x)


def test_golden_rows_with_a_last_bit_off_are_refused() -> None:
    x = factories.rows(10, seed=1)
    expected = factories.expected_probabilities(x)
    compiled(factories.forest()).verify(x, expected)
    expected[3] = np.nextafter(expected[3], 2.0)
    with pytest.raises(BundleRefused, match="different in 1 of 10 golden rows"):
        compiled(factories.forest()).verify(x, expected)

import dataclasses

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tapeline_inference import layout

from unit.inference import factories

singles = st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=True)
doubles = st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=True)


@given(singles, singles)
def test_keys_are_ordered_as_the_numbers_they_stand_for(a: float, b: float) -> None:
    first, second = layout.keys_of(np.array([a, b], dtype=np.float32)).tolist()
    assert (first <= second) == (a <= b)
    assert (first == second) == (a == b)


@given(doubles)
def test_a_rounded_threshold_is_the_largest_float32_at_or_below_it(threshold: float) -> None:
    rounded = layout.round_down(np.array([threshold]))[0]
    assert float(rounded) <= threshold
    with np.errstate(over="ignore"):
        assert float(np.nextafter(rounded, np.float32(np.inf))) > threshold


@given(doubles, singles)
def test_a_key_compares_as_float32_against_float64_does(threshold: float, value: float) -> None:
    key = layout.keys_of(layout.round_down(np.array([threshold])))[0]
    assert (layout.keys_of(np.array([value], dtype=np.float32))[0] <= key) == (value <= threshold)


def test_a_packed_forest_has_its_siblings_side_by_side_and_leaves_that_stay() -> None:
    packed = layout.pack(factories.forest())
    left = packed.nodes & np.uint64(0xFFFF)
    inner = packed.nodes >> np.uint64(32) != 0xFFFF_FFFF
    assert inner.sum() == (factories.forest().left != -1).sum()
    assert packed.tree_start.tolist() == factories.forest().tree_start[:-1].tolist()
    place = np.arange(factories.forest().nodes) - np.repeat(packed.tree_start, np.diff(factories.forest().tree_start))
    assert np.array_equal(left[~inner], place[~inner])
    assert np.all(left[inner] > place[inner])


def test_a_packed_forest_keeps_every_leaf_once() -> None:
    packed = layout.pack(factories.forest())
    assert np.array_equal(np.sort(packed.probability), np.sort(factories.forest().probability))


def test_a_tree_or_a_matrix_too_large_for_16_bits_does_not_fit() -> None:
    forest = factories.forest()
    large = dataclasses.replace(forest, tree_start=np.array([0, layout.TREE_NODES_MAX + 1]))
    assert layout.fits(forest, factories.COLUMNS)
    assert not layout.fits(forest, layout.COLUMNS_MAX + 1)
    assert not layout.fits(large, factories.COLUMNS)

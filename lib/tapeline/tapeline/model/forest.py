"""A forest as plain arrays: its structural check and its exact reference traversal.

Holds no file format (bundle.py) and no fast kernel (services/inference). `predict` defines the
predictions of a forest: every faster form must equal it to the last bit, and it equals scikit-learn's
`predict_proba(x)[:, 1]` with n_jobs=1, which casts rows to float32, compares them with float64
thresholds and adds the trees' float64 probabilities in order.

To add a rule for what may be loaded: add it to one of the `_check_*` functions, with a tampered
forest in tests/unit/tapeline/model/test_forest.py.
Source of the rules: one edited child index made a forest loaded with skops crash its process.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

NODES_MAX: Final = 4_000_000
TREES_MAX: Final = 2_000
# A forest without a depth limit, on half a million rows, stays below 60.
DEPTH_MAX: Final = 128
LEAF: Final = -1

ARRAYS: Final[dict[str, np.dtype[Any]]] = {
    "feature": np.dtype("<i4"),
    "threshold": np.dtype("<f8"),
    "left": np.dtype("<i4"),
    "right": np.dtype("<i4"),
    "probability": np.dtype("<f8"),
    "tree_start": np.dtype("<i8"),
}
"""Every array of a Forest and its exact type, little-endian."""


class BundleRefused(Exception):
    """A model that must not be used.

    Attributes:
        reason: one word for counters, such as "structure" or "digest".
    """

    def __init__(self, reason: str, subject: str, was: object, rule: str) -> None:
        """Build the message from what was found and the rule it broke.

        Args:
            reason: one word for counters.
            subject: what was checked.
            was: its value.
            rule: what it must be, and where that is not obvious, the way out.
        """
        super().__init__(f"{subject} was {was}; {rule}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Forest:
    """All trees, one after another; node numbers are absolute.

    Attributes:
        feature: (nodes,) int32, column that the node splits on, -1 at a leaf.
        threshold: (nodes,) float64, left when float32(x) <= threshold; 0.0 at a leaf.
        left: (nodes,) int32, -1 at a leaf.
        right: (nodes,) int32, -1 at a leaf.
        probability: (nodes,) float64 in [0, 1], probability of class 1; read at leaves only.
        tree_start: (trees + 1,) int64, first node of each tree, then the number of nodes.
    """

    feature: npt.NDArray[np.int32]
    threshold: Floats
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    probability: Floats
    tree_start: npt.NDArray[np.int64]

    @property
    def trees(self) -> int:
        """Number of trees."""
        return len(self.tree_start) - 1

    @property
    def nodes(self) -> int:
        """Number of nodes of all trees."""
        return len(self.feature)


def prior_forest(probability: float) -> Forest:
    """Return the forest that always predicts the base rate: one tree of one leaf.

    Args:
        probability: of class 1, 0 to 1.
    """
    return Forest(
        feature=np.array([LEAF], dtype=np.int32),
        threshold=np.zeros(1),
        left=np.array([LEAF], dtype=np.int32),
        right=np.array([LEAF], dtype=np.int32),
        probability=np.array([probability], dtype=np.float64),
        tree_start=np.array([0, 1], dtype=np.int64),
    )


def check(forest: Forest, feature_count: int) -> None:
    """Check that a traversal of the forest ends, stays inside its arrays and yields a probability.

    Args:
        forest: untrusted.
        feature_count: columns of the matrices to predict.

    Raises:
        BundleRefused: reason "structure", with the first node or array that breaks a rule.
    """
    _check_arrays(forest)
    _check_trees(forest)
    _check_values(forest, feature_count)
    _check_children(forest)
    depths(forest)


def _refuse(subject: str, was: object, rule: str) -> BundleRefused:
    return BundleRefused("structure", subject, was, rule)


def _check_arrays(forest: Forest) -> None:
    for name, dtype in ARRAYS.items():
        array = getattr(forest, name)
        if array.dtype != dtype or array.ndim != 1:
            raise _refuse(f"array {name}", f"{array.dtype} with {array.ndim} axes", f"it must be {dtype} with 1")
    lengths = {name: len(getattr(forest, name)) for name in ARRAYS if name != "tree_start"}
    if len(set(lengths.values())) > 1:
        raise _refuse("array lengths", lengths, "they must be equal")
    if not 1 <= forest.nodes <= NODES_MAX:
        raise _refuse("number of nodes", forest.nodes, f"it must be 1 to {NODES_MAX}; grow smaller trees")


def _check_trees(forest: Forest) -> None:
    start = forest.tree_start
    if not 1 <= forest.trees <= TREES_MAX:
        raise _refuse("number of trees", forest.trees, f"it must be 1 to {TREES_MAX}")
    if start[0] != 0 or start[-1] != forest.nodes or np.any(start[1:] <= start[:-1]):
        raise _refuse("tree_start", start, f"it must ascend strictly from 0 to {forest.nodes}")


def _first(wrong: npt.NDArray[np.bool_]) -> int:
    return int(np.argmax(wrong))


def _check_values(forest: Forest, feature_count: int) -> None:
    for name in ("threshold", "probability"):
        values = getattr(forest, name)
        wrong = ~np.isfinite(values)
        if name == "probability":
            wrong |= (values < 0.0) | (values > 1.0)
        if np.any(wrong):
            node = _first(wrong)
            rule = "it must be finite" + (" and within 0 to 1" if name == "probability" else "")
            raise _refuse(f"{name} of node {node}", values[node], rule)
    leaf = forest.left == LEAF
    wrong = (forest.right == LEAF) != leaf
    if np.any(wrong):
        node = _first(wrong)
        children = (int(forest.left[node]), int(forest.right[node]))
        raise _refuse(f"children of node {node}", children, "both must be -1, or neither")
    wrong = np.where(leaf, forest.feature != LEAF, (forest.feature < 0) | (forest.feature >= feature_count))
    if np.any(wrong):
        node = _first(wrong)
        rule = f"it must be -1 at a leaf and 0 to {feature_count - 1} at a split"
        raise _refuse(f"feature of node {node}", int(forest.feature[node]), rule)


def _check_children(forest: Forest) -> None:
    number = np.arange(forest.nodes)
    sizes = np.diff(forest.tree_start)
    end = np.repeat(forest.tree_start[1:], sizes)
    inner = forest.left != LEAF
    for name in ("left", "right"):
        child = getattr(forest, name)
        wrong = inner & ((child <= number) | (child >= end))
        if np.any(wrong):
            node = _first(wrong)
            rule = f"it must be above {node} and below {end[node]}, the end of its tree"
            raise _refuse(f"{name} child of node {node}", int(child[node]), rule)
    # One parent each: no node is shared or unreachable, so a re-laid copy cannot grow.
    parents = np.bincount(np.concatenate([forest.left[inner], forest.right[inner]]), minlength=forest.nodes)
    expected = np.ones(forest.nodes, dtype=np.int64)
    expected[forest.tree_start[:-1]] = 0
    if np.any(parents != expected):
        node = _first(parents != expected)
        raise _refuse(f"number of parents of node {node}", int(parents[node]), f"it must be {expected[node]}")


def depths(forest: Forest) -> npt.NDArray[np.int64]:
    """Return (trees,) the number of splits on each tree's longest path to a leaf.

    Raises:
        BundleRefused: a tree is deeper than DEPTH_MAX.
    """
    depth = np.zeros(forest.trees, dtype=np.int64)
    tree = np.arange(forest.trees)
    node = forest.tree_start[:-1]
    for level in range(DEPTH_MAX + 1):
        inner = forest.left[node] != LEAF
        node, tree = node[inner], tree[inner]
        if not len(node):
            return depth
        depth[tree] = level + 1
        node = np.concatenate([forest.left[node], forest.right[node]])
        tree = np.concatenate([tree, tree])
    raise _refuse(f"depth of tree {int(tree[0])}", f"above {DEPTH_MAX}", f"it must be at most {DEPTH_MAX}")


def predict(forest: Forest, x: Singles) -> Floats:
    """Return the probability of class 1 of every row, by the slow and exact traversal.

    Args:
        forest: one that passed `check`.
        x: (n, k) float32, finite.

    Returns:
        (n,) float64: the float64 sum of the leaves' probabilities in tree order, over the number of trees.

    Raises:
        ValueError: `x` is not two-dimensional, finite float32.
    """
    if x.dtype != np.float32 or x.ndim != 2:
        raise ValueError(f"rows were {x.dtype} with {x.ndim} axes; they must be float32 with 2")
    if not np.all(np.isfinite(x)):
        raise ValueError("rows were not all finite; leave out the rows that have no features")
    total = np.zeros(len(x), dtype=np.float64)
    row = np.arange(len(x))
    for root in forest.tree_start[:-1]:
        total += forest.probability[_leaf_of(forest, x, row, int(root))]
    return total / forest.trees


def _leaf_of(forest: Forest, x: Singles, row: npt.NDArray[np.int64], root: int) -> npt.NDArray[np.int64]:
    node = np.full(len(x), root, dtype=np.int64)
    walking = row[forest.left[node] != LEAF]
    while len(walking):
        here = node[walking]
        # float32 against float64 compares in float64: no rounding of either side.
        goes_left = x[walking, forest.feature[here]] <= forest.threshold[here]
        node[walking] = np.where(goes_left, forest.left[here], forest.right[here])
        walking = walking[forest.left[node[walking]] != LEAF]
    return node

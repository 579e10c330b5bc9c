"""Memory layout of a forest for traversal without branches.

A node is one uint64: the key of its threshold (bits 32-63), its column times LANES (16-31) and the
index of its left child within the tree (0-15); the right child lies beside the left. A leaf points to
itself with a key that no row exceeds, so every row of a tree takes the same number of steps.
A key is a float32 as an integer of the same order, -0.0 and 0.0 being one; a float64 threshold is
rounded down to float32, which changes no comparison with a float32 row.

No traversal here (kernel.py). Source of the packing: facts measured on C kernels, 2.5-3 cycles a node.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from tapeline.model.forest import (
    LEAF,
    Floats,
    Forest,
    Singles,
    depths,
)

LANES: Final = 8
"""Rows walked side by side; 8 states and their pointers just fit the registers of x86-64."""
TREE_NODES_MAX: Final = 1 << 16
COLUMNS_MAX: Final = (1 << 16) // LANES
_LEAF_KEY: Final = 0xFFFF_FFFF

Keys = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class PackedForest:
    """The fast form.

    Attributes:
        nodes: (nodes,) uint64, each tree breadth first, siblings side by side.
        probability: (nodes,) float64 in the same order.
        tree_start: (trees,) uint64, first node of each tree.
        depth: (trees,) int64, steps to any leaf.
    """

    nodes: npt.NDArray[np.uint64]
    probability: Floats
    tree_start: npt.NDArray[np.uint64]
    depth: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class WideForest:
    """The form for trees that do not fit the packed one; node numbers are absolute.

    Attributes:
        key: (nodes,) uint32 of the thresholds.
        feature: (nodes,) int64, -1 at a leaf.
        left: (nodes,) int64.
        right: (nodes,) int64.
        probability: (nodes,) float64.
        tree_start: (trees,) int64.
    """

    key: Keys
    feature: npt.NDArray[np.int64]
    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    probability: Floats
    tree_start: npt.NDArray[np.int64]


def keys_of(values: Singles) -> Keys:
    """Return integers in the order of some float32, equal where those are equal."""
    bits = values.view(np.int32).astype(np.int64)
    ordered = np.where(bits >= 0, bits, -(1 << 31) - bits)
    return (ordered + (1 << 31)).astype(np.uint32)


def round_down(thresholds: Floats) -> Singles:
    """Return the largest float32 at or below each float64."""
    # Beyond float32 the result is its largest number, or -inf, which nothing is below: no warning is due.
    with np.errstate(over="ignore"):
        nearest = thresholds.astype(np.float32)
        below = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest.astype(np.float64) > thresholds, below, nearest)


def fits(forest: Forest, columns: int) -> bool:
    """Return whether a forest can be packed."""
    return int(np.diff(forest.tree_start).max()) <= TREE_NODES_MAX and columns <= COLUMNS_MAX


def pack(forest: Forest) -> PackedForest:
    """Return the fast form of a forest that passed `tapeline.model.forest.check` and that `fits`."""
    order, place = _breadth_first(forest)
    leaf = forest.left[order] == LEAF
    left = place[np.where(leaf, order, forest.left[order])]
    key = np.where(leaf, _LEAF_KEY, keys_of(round_down(forest.threshold))[order]).astype(np.uint64)
    column = np.where(leaf, 0, forest.feature[order].astype(np.int64) * LANES).astype(np.uint64)
    nodes = np.bitwise_or.reduce([key << np.uint64(32), column << np.uint64(16), left.astype(np.uint64)])
    start = forest.tree_start[:-1].astype(np.uint64)
    return PackedForest(nodes, forest.probability[order], start, depths(forest))


def _breadth_first(forest: Forest) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the old number of each new node, and each old node's new index within its tree."""
    order = np.empty(forest.nodes, dtype=np.int64)
    place = np.empty(forest.nodes, dtype=np.int64)
    for start in forest.tree_start[:-1]:
        level, done = np.array([start], dtype=np.int64), 0
        while len(level):
            place[level] = np.arange(done, done + len(level))
            order[start + done : start + done + len(level)] = level
            done += len(level)
            inner = level[forest.left[level] != LEAF]
            level = np.stack([forest.left[inner], forest.right[inner]], axis=1).ravel().astype(np.int64)
    return order, place


def widen(forest: Forest) -> WideForest:
    """Return the general form of a forest that passed `tapeline.model.forest.check`."""
    return WideForest(
        key=keys_of(round_down(forest.threshold)),
        feature=forest.feature.astype(np.int64),
        left=forest.left.astype(np.int64),
        right=forest.right.astype(np.int64),
        probability=forest.probability,
        tree_start=forest.tree_start[:-1].copy(),
    )

"""The forest as plain arrays, proven equal to scikit-learn's, written as a bundle.

Nothing served changes here: that is release.py's.
"""

import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from tapeline.model import bundle, labels
from tapeline.model.bundle import BundleRefused, Draft, Forest

from tapeline_trainer.data.dataset import Singles
from tapeline_trainer.errors import ForestDiffers
from tapeline_trainer.model.training import probabilities

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestClassifier

PROOF_ROWS: Final = 2_000
GOLDEN_ROWS: Final = 64
_LIBRARIES: Final = ("numpy", "scikit-learn", "pyarrow", "tapeline", "tapeline-trainer")


@dataclass(frozen=True, slots=True)
class Facts:
    """What the manifest says of how a model came to be; times in ms UTC."""

    created_at_ms: int
    expires_at_ms: int
    training_from_ms: int
    training_to_ms: int
    training_rows: int
    data_digest: str
    metrics: dict[str, float]
    threshold: float
    parent_digest: str | None


def forest_from_sklearn(model: "RandomForestClassifier") -> Forest:
    """Return the trees of a fitted two-class forest as plain arrays, in their order.

    scikit-learn keeps the share of each class in a node (since 1.3) and does not normalise again,
    so `value` is the probability to the last bit. It marks a leaf by -1 children and -2 elsewhere.

    Raises:
        ValueError: the forest has not the classes 0 and 1.
    """
    if list(model.classes_) != [0, 1]:
        raise ValueError(f"classes were {list(model.classes_)}; they must be [0, 1]")
    trees = [estimator.tree_ for estimator in model.estimators_]
    sizes = np.array([tree.node_count for tree in trees], dtype=np.int64)
    start = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)])
    leaf = np.concatenate([tree.children_left == -1 for tree in trees])

    def absolute(side: str) -> np.ndarray:
        moved = [getattr(tree, side) + offset for tree, offset in zip(trees, start[:-1], strict=True)]
        return np.where(leaf, -1, np.concatenate(moved)).astype(np.int32)

    return Forest(
        feature=np.where(leaf, -1, np.concatenate([tree.feature for tree in trees])).astype(np.int32),
        threshold=np.where(leaf, 0.0, np.concatenate([tree.threshold for tree in trees])),
        left=absolute("children_left"),
        right=absolute("children_right"),
        probability=np.concatenate([tree.value[:, 0, 1] for tree in trees]).astype(np.float64),
        tree_start=start,
    )


def prove(forest: Forest, model: "RandomForestClassifier", x: Singles) -> None:
    """Demand that the arrays answer as scikit-learn does, to the last bit.

    Raises:
        ForestDiffers: they do not.
    """
    rows = x[:PROOF_ROWS]
    different = int(np.count_nonzero(bundle.predict(forest, rows) != probabilities(model, rows)))
    if different:
        raise ForestDiffers(len(rows), different)


def draft(kind: Literal["forest", "prior"], facts: Facts) -> Draft:
    """Return the manifest of a model, but for its files."""
    libraries = {name: version(name) for name in _LIBRARIES} | {"python": platform.python_version()}
    return Draft(
        kind=kind,
        created_at_ms=facts.created_at_ms,
        expires_at_ms=facts.expires_at_ms,
        label_version=labels.VERSION,
        training_from_ms=facts.training_from_ms,
        training_to_ms=facts.training_to_ms,
        training_rows=facts.training_rows,
        data_digest=facts.data_digest,
        metrics=facts.metrics,
        threshold=facts.threshold,
        libraries=libraries,
        parent_digest=facts.parent_digest,
    )


def usable_current(models: Path) -> str | None:
    """Return the digest that is served, None where there is none or inference would refuse it."""
    try:
        digest = bundle.current(models)
        if digest is not None:
            bundle.read(models, digest)
    except BundleRefused:
        return None
    return digest


def may_stay(models: Path, served: str, now_ms: int) -> bool:
    """Return whether a served model is better kept than replaced by a fresh prior.

    A prior is not: its successor knows later base rates. Nor is a model past its time, whose answers nobody gets.

    Args:
        models: folder of all bundles.
        served: digest of a usable bundle.
        now_ms: ms UTC.
    """
    manifest = bundle.read(models, served).manifest
    return manifest.kind == "forest" and now_ms < manifest.expires_at_ms


def write(models: Path, forest: Forest, manifest: Draft, x: Singles) -> str:
    """Write a bundle and read it back, proven; return its digest. Nothing serves it yet.

    Args:
        models: folder of all bundles.
        forest: the trees.
        manifest: what is said of them.
        x: (n, k) float32, real rows; the first become the golden ones.
    """
    return bundle.write(models, forest, manifest, x[:GOLDEN_ROWS])

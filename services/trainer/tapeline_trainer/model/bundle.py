"""Exports the forest as plain arrays, verifies them against scikit-learn, and writes them as a bundle.

Promotes nothing: rollout/target.py does.
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
from tapeline_trainer.errors import ForestMismatch
from tapeline_trainer.model.training import probabilities

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestClassifier

VERIFIED_ROWS: Final = 2_000
GOLDEN_ROWS: Final = 64
_LIBRARIES: Final = ("numpy", "scikit-learn", "pyarrow", "tapeline", "tapeline-trainer")


@dataclass(frozen=True, slots=True)
class TrainingMetadata:
    """Training metadata of the manifest; times in ms UTC."""

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
        shifted = [getattr(tree, side) + offset for tree, offset in zip(trees, start[:-1], strict=True)]
        return np.where(leaf, -1, np.concatenate(shifted)).astype(np.int32)

    return Forest(
        feature=np.where(leaf, -1, np.concatenate([tree.feature for tree in trees])).astype(np.int32),
        threshold=np.where(leaf, 0.0, np.concatenate([tree.threshold for tree in trees])),
        left=absolute("children_left"),
        right=absolute("children_right"),
        probability=np.concatenate([tree.value[:, 0, 1] for tree in trees]).astype(np.float64),
        tree_start=start,
    )


def verify(forest: Forest, model: "RandomForestClassifier", x: Singles) -> None:
    """Check that the arrays predict as scikit-learn does, to the last bit.

    Raises:
        ForestMismatch: they do not.
    """
    rows = x[:VERIFIED_ROWS]
    different = int(np.count_nonzero(bundle.predict(forest, rows) != probabilities(model, rows)))
    if different:
        raise ForestMismatch(len(rows), different)


def draft_manifest(kind: Literal["forest", "prior"], metadata: TrainingMetadata) -> Draft:
    """Return the manifest of a model, without its file hashes."""
    libraries = {name: version(name) for name in _LIBRARIES} | {"python": platform.python_version()}
    return Draft(
        kind=kind,
        created_at_ms=metadata.created_at_ms,
        expires_at_ms=metadata.expires_at_ms,
        label_version=labels.VERSION,
        training_from_ms=metadata.training_from_ms,
        training_to_ms=metadata.training_to_ms,
        training_rows=metadata.training_rows,
        data_digest=metadata.data_digest,
        metrics=metadata.metrics,
        threshold=metadata.threshold,
        libraries=libraries,
        parent_digest=metadata.parent_digest,
    )


def usable_current(models: Path) -> str | None:
    """Return the digest of the current bundle, None where there is none or inference would refuse it."""
    try:
        digest = bundle.current(models)
        if digest is not None:
            bundle.read(models, digest)
    except BundleRefused:
        return None
    return digest


def may_stay(models: Path, served: str, now_ms: int) -> bool:
    """Return whether a served model is kept rather than replaced by a new prior.

    A served prior is not: a new one has later base rates. An expired model is not: inference no longer uses it.

    Args:
        models: folder of all bundles.
        served: digest of a usable bundle.
        now_ms: ms UTC.
    """
    manifest = bundle.read(models, served).manifest
    return manifest.kind == "forest" and now_ms < manifest.expires_at_ms


def write(models: Path, forest: Forest, manifest: Draft, x: Singles) -> str:
    """Write a bundle and verify it; return its digest. It is not promoted.

    Args:
        models: folder of all bundles.
        forest: the trees.
        manifest: without the file hashes.
        x: (n, k) float32, real rows; the first become the golden rows.
    """
    return bundle.write(models, forest, manifest, x[:GOLDEN_ROWS])

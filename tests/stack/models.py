"""Models for tests: a prior where any model will do, a forest where the test recomputes its predictions."""

import time
from pathlib import Path

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from tapeline.model import bundle, features, labels
from tapeline_trainer.model.bundle import forest_from_sklearn

HOUR_MS = 3_600_000


def _promote(models: Path, kind: str, forest: bundle.Forest, rows: np.ndarray) -> str:
    now_ms = time.time_ns() // 1_000_000
    draft = bundle.Draft(
        kind=kind,
        created_at_ms=now_ms,
        expires_at_ms=now_ms + HOUR_MS,
        label_version=labels.VERSION,
        training_from_ms=now_ms - HOUR_MS,
        training_to_ms=now_ms,
        training_rows=1,
        data_digest="0" * 64,
        metrics={},
        threshold=0.5,
        libraries={},
        parent_digest=None,
    )
    digest = bundle.write(models, forest, draft, rows)
    bundle.promote(models, digest)
    return digest


def promote_prior(models: Path, probability: float = 0.4) -> str:
    """Write and promote a model that always gives the same probability; return its digest."""
    rows = np.zeros((1, len(features.FEATURE_NAMES)), dtype=np.float32)
    return _promote(models, "prior", bundle.prior_forest(probability), rows)


def promote_forest(models: Path) -> RandomForestClassifier:
    """Write and promote a forest that depends on every feature; return the scikit-learn model."""
    random = np.random.default_rng(3)
    x = (random.normal(size=(4_000, len(features.FEATURE_NAMES))) * 3.0).astype(np.float32)
    y = (np.tanh(x).sum(axis=1) + random.normal(size=len(x)) > 0).astype(int)
    model = RandomForestClassifier(40, max_depth=8, n_jobs=1, random_state=0).fit(x, y)
    _promote(models, "forest", forest_from_sklearn(model), x[:8])
    return model

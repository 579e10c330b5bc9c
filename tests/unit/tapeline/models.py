"""A folder with one small bundle, the same bytes wherever it is made."""

from pathlib import Path

import numpy as np
from tapeline.model import bundle as model_bundle
from tapeline.model import features
from tapeline.model.bundle import Draft

START_MS = 1_790_000_000_000


def bundle(models: Path, probability: float = 0.5, **changes: object) -> str:
    """Write a prior and make it the current one; return its digest."""
    fields: dict[str, object] = {
        "kind": "prior",
        "created_at_ms": START_MS,
        "expires_at_ms": START_MS + 10**12,
        "label_version": "1",
        "training_from_ms": START_MS - 3_600_000,
        "training_to_ms": START_MS - 1,
        "training_rows": 7,
        "data_digest": "d",
        "metrics": {"auc": 0.625},
        "threshold": 0.5,
        "libraries": {"scikit-learn": "1.9.1"},
    }
    x = np.zeros((2, len(features.FEATURE_NAMES)), dtype=np.float32)
    digest = model_bundle.write(models, model_bundle.prior_forest(probability), Draft(**(fields | changes)), x)
    model_bundle.promote(models, digest)
    return digest

"""A model for tests that need one and do not care which."""

import time
from pathlib import Path

import numpy as np
from tapeline import artefact, features, labels

HOUR_MS = 3_600_000


def promote_prior(models: Path, probability: float = 0.4) -> str:
    """Write and promote a model that always gives the same probability; return its digest."""
    now_ms = time.time_ns() // 1_000_000
    draft = artefact.Draft(
        kind="prior",
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
    rows = np.zeros((1, len(features.FEATURE_NAMES)), dtype=np.float32)
    digest = artefact.write(models, artefact.prior_forest(probability), draft, rows)
    artefact.promote(models, digest)
    return digest

"""Pushes the bootstrap model: a constant prior, so that a new platform has an image to install with.

A Deployment with an image volume does not start without an image. The first training run replaces the bootstrap
model: the gate never keeps a prior.
"""

import hashlib
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
from tapeline.model import bundle as model_bundle
from tapeline.model import features
from tapeline.model.oci_image import Reference
from tapeline.service import clock

from tapeline_trainer.errors import NoRegistry
from tapeline_trainer.model import bundle
from tapeline_trainer.model.training import NEUTRAL_THRESHOLD
from tapeline_trainer.rollout import target
from tapeline_trainer.rollout.registry import Registry
from tapeline_trainer.settings import Settings

_DAY_MS: Final = 86_400_000
EXPIRY_DAYS: Final = 30
"""Long enough for a first training run to have the trades it needs."""


def metadata(now_ms: int) -> bundle.TrainingMetadata:
    """Return the metadata of a bootstrap model.

    Args:
        now_ms: ms UTC.
    """
    return bundle.TrainingMetadata(
        created_at_ms=now_ms,
        expires_at_ms=now_ms + EXPIRY_DAYS * _DAY_MS,
        training_from_ms=now_ms,
        training_to_ms=now_ms,
        training_rows=0,
        data_digest=hashlib.sha256(b"").hexdigest(),
        metrics={},
        threshold=NEUTRAL_THRESHOLD,
        parent_digest=None,
    )


def push(settings: Settings, probability: float) -> Reference:
    """Build a prior, push it, and return the reference to install with.

    Args:
        settings: the registry.
        probability: what it always predicts.

    Raises:
        NoRegistry: TRAINER_REGISTRY is not set.
        RegistryFailed: the push or the pull failed.
    """
    if settings.registry is None:
        raise NoRegistry
    x = np.zeros((1, len(features.FEATURE_NAMES)), dtype=np.float32)
    with tempfile.TemporaryDirectory(prefix="tapeline-") as folder, Registry(settings) as registry:
        manifest = bundle.draft_manifest("prior", metadata(clock.now_ms()))
        digest = bundle.write(Path(folder), model_bundle.prior_forest(probability), manifest, x)
        return target.publish(registry, Path(folder), digest)

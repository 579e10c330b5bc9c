from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tapeline.model import bundle as model_bundle
from tapeline_trainer.errors import NoRegistry
from tapeline_trainer.model import bundle
from tapeline_trainer.rollout import bootstrap_model
from tapeline_trainer.rollout.registry import Registry
from tapeline_trainer.settings import Settings

from unit.fakes.registry import FakeRegistry
from unit.fakes.web import serving
from unit.trainer import factories


@pytest.fixture
def settings() -> Iterator[Settings]:
    with serving(FakeRegistry()) as address:
        yield Settings(registry=address, registry_insecure=True)


def test_bootstrap_model_is_a_prior_that_the_first_run_replaces(tmp_path: Path, settings) -> None:
    reference = bootstrap_model.push(settings, 0.5)
    with Registry(settings) as registry:
        digest = registry.pull(reference.digest, tmp_path)
    found = model_bundle.read(tmp_path, digest)
    assert found.manifest.kind == "prior" and found.manifest.parent_digest is None
    x = np.ones((3, len(found.manifest.feature_names)), dtype=np.float32)
    assert model_bundle.predict(found.forest, x).tolist() == [0.5] * 3
    assert found.manifest.expires_at_ms - found.manifest.created_at_ms == 30 * 86_400_000
    assert not bundle.may_stay(tmp_path, digest, found.manifest.created_at_ms)


def test_bootstrap_model_of_one_moment_is_one_model() -> None:
    drafts = {
        bundle.draft_manifest("prior", bootstrap_model.metadata(factories.START_MS)).model_dump_json() for _ in range(2)
    }
    assert len(drafts) == 1


def test_bootstrap_model_without_a_registry_is_refused() -> None:
    with pytest.raises(NoRegistry, match="set TRAINER_REGISTRY"):
        bootstrap_model.push(Settings(), 0.5)


@pytest.mark.parametrize("probability", [-0.1, 1.1, float("nan")])
def test_probability_that_is_none_is_refused(settings: Settings, probability: float) -> None:
    with pytest.raises(model_bundle.BundleRefused):
        bootstrap_model.push(settings, probability)

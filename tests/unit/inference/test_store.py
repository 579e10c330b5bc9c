from pathlib import Path

import numpy as np
import pytest
from tapeline.service import clock
from tapeline.service.health import Health
from tapeline_inference import metrics, store
from tapeline_inference.errors import ModelExpired, ModelUnavailable
from tapeline_inference.store import ModelStore

from unit.inference import factories


class Clock:
    """A wall clock that is set by hand."""

    def __init__(self) -> None:
        self.ms = clock.now_ms()

    def __call__(self) -> int:
        return self.ms


class Case:
    """A store on a folder, with its health and its clock."""

    def __init__(self, models: Path) -> None:
        self.models, self.clock = models, Clock()
        self.health = Health(("model",), 60.0)
        self.store = ModelStore(models, self.health, clock_ms=self.clock)

    @property
    def ready(self) -> bool:
        self.store.update_health()
        return self.health.ready()[0]

    def damage(self, digest: str) -> None:
        (self.models / digest / "forest.npz").write_bytes(b"damaged")


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def refusals(reason: str) -> float:
    return metrics.REGISTRY.get_sample_value("tapeline_model_refusals_total", {"reason": reason}) or 0.0


def test_without_a_model_the_store_is_not_ready_and_says_so(case: Case) -> None:
    case.store.refresh()
    assert not case.ready
    with pytest.raises(ModelUnavailable, match="nothing has been promoted yet"):
        case.store.get()


def test_a_promoted_model_is_served_with_its_own_answers(case: Case) -> None:
    digest = factories.promoted(case.models)
    case.store.refresh()
    x = factories.rows(20, seed=6)
    assert (case.ready, case.store.get().digest) == (True, digest)
    assert np.array_equal(case.store.get().forest.predict(x), factories.expected_probabilities(x))


def test_a_newer_model_takes_over(case: Case) -> None:
    factories.promoted(case.models)
    case.store.refresh()
    newer = factories.promoted(case.models, factories.forest(seed=3))
    case.store.refresh()
    assert case.store.get().digest == newer
    labels = {"digest": newer, "kind": "forest", "feature_version": "1", "label_version": "next-different-price-1"}
    assert metrics.REGISTRY.get_sample_value("tapeline_model_info", labels) == 1.0


def test_a_refused_model_leaves_the_old_one_serving_and_is_counted_once(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "REFUSED_RETRY_S", 0.0)
    good = factories.promoted(case.models)
    case.store.refresh()
    before = refusals("files")
    case.damage(factories.promoted(case.models, factories.forest(seed=3)))
    for _ in range(3):
        case.store.refresh()
    assert (case.ready, case.store.get().digest) == (True, good)
    assert refusals("files") == before + 1


def test_a_refused_first_model_shows_its_reason_in_readiness(case: Case) -> None:
    case.damage(factories.promoted(case.models))
    case.store.refresh()
    assert "sha256 of forest.npz was" in str(case.health.ready()[1])


def test_a_refused_model_is_tried_again_later(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "REFUSED_RETRY_S", 0.0)
    digest = factories.promoted(case.models)
    whole = (case.models / digest / "forest.npz").read_bytes()
    case.damage(digest)
    case.store.refresh()
    (case.models / digest / "forest.npz").write_bytes(whole)
    case.store.refresh()
    assert case.store.get().digest == digest


def test_a_pointer_that_is_no_digest_changes_nothing(case: Case) -> None:
    digest = factories.promoted(case.models)
    case.store.refresh()
    (case.models / "current").write_text("../elsewhere")
    case.store.refresh()
    assert case.store.get().digest == digest


def test_a_model_past_its_time_is_not_served_and_not_ready(case: Case) -> None:
    factories.promoted(case.models)
    case.store.refresh()
    expires_ms = case.store.latest().manifest.expires_at_ms
    case.clock.ms = expires_ms - 1
    assert case.ready
    case.clock.ms = expires_ms
    assert not case.ready
    with pytest.raises(ModelExpired, match="promote a newer one"):
        case.store.get()

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tapeline.model import bundle as model_bundle
from tapeline.model import npz
from tapeline.model.bundle import BundleRefused

from unit.inference import factories

TESTS = Path(__file__).parents[3]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


def test_a_written_bundle_is_read_back_equal(models: Path) -> None:
    digest = factories.bundle(models, metrics={"auc": 0.61})
    bundle = model_bundle.read(models, digest)
    assert (bundle.digest, bundle.manifest.metrics) == (digest, {"auc": 0.61})
    for name in ("feature", "threshold", "left", "right", "probability", "tree_start"):
        assert getattr(bundle.forest, name).tobytes() == getattr(factories.forest(), name).tobytes()


def test_golden_answers_are_those_of_scikit_learn(models: Path) -> None:
    bundle = model_bundle.read(models, factories.bundle(models))
    expected = factories.expected_probabilities(factories.rows(50, seed=9))
    assert bundle.golden_p.tobytes() == expected.tobytes()


def test_the_same_model_written_twice_is_one_bundle(models: Path) -> None:
    draft = factories.draft()
    digests = {model_bundle.write(models, factories.forest(), draft, factories.rows(5)) for _ in range(2)}
    assert {path.name for path in models.iterdir()} == digests


def test_a_bundle_holds_no_pickle_and_nothing_else(models: Path) -> None:
    folder = models / factories.bundle(models)
    assert sorted(path.name for path in folder.iterdir()) == ["forest.npz", "golden.npz", "manifest.json"]
    with np.load(folder / "forest.npz", allow_pickle=False) as archive:
        assert all(archive[name].dtype != object for name in archive.files)


def test_nothing_is_current_before_a_promotion(models: Path) -> None:
    assert model_bundle.current(models) is None


def test_a_promotion_replaces_the_pointer_and_leaves_nothing_else(models: Path) -> None:
    first, second = factories.promoted(models), factories.promoted(models, metrics={"auc": 0.7})
    assert model_bundle.current(models) == second
    assert {path.name for path in models.iterdir()} == {first, second, "current"}


def test_a_bundle_that_would_be_refused_is_not_promoted(models: Path) -> None:
    good = factories.promoted(models)
    bad = factories.bundle(models, metrics={"auc": 0.7})
    (models / bad / "forest.npz").write_bytes(b"")
    with pytest.raises(BundleRefused, match=r"sha256 of forest\.npz"):
        model_bundle.promote(models, bad)
    assert model_bundle.current(models) == good


@pytest.mark.parametrize("text", ["", "../../etc/passwd", "a" * 63, "A" * 64, "\x00" * 64])
def test_a_pointer_that_is_no_digest_is_refused(models: Path, text: str) -> None:
    models.mkdir()
    (models / "current").write_text(text)
    with pytest.raises(BundleRefused, match="64 lower-case hex digits"):
        model_bundle.current(models)


@pytest.mark.parametrize("digest", ["../escape", "", "a" * 64])
def test_a_digest_without_a_bundle_is_refused(models: Path, digest: str) -> None:
    with pytest.raises(BundleRefused):
        model_bundle.read(models, digest)


@pytest.mark.parametrize("name", ["manifest.json", "forest.npz", "golden.npz"])
def test_a_missing_file_is_refused_by_name(models: Path, name: str) -> None:
    digest = factories.bundle(models)
    (models / digest / name).unlink()
    with pytest.raises(BundleRefused, match=f"{name} was unreadable"):
        model_bundle.read(models, digest)


@pytest.mark.parametrize("name", ["manifest.json", "forest.npz", "golden.npz"])
def test_a_file_above_its_limit_is_refused_without_reading_it_whole(models: Path, name: str) -> None:
    digest = factories.bundle(models)
    os.truncate(models / digest / name, 10 * 1024**3)
    with pytest.raises(BundleRefused, match=f"size of {name} was above"):
        model_bundle.read(models, digest)


def test_a_bundle_of_other_features_is_refused(models: Path) -> None:
    digest = factories.bundle(models)
    other = factories.forge(models, digest, {}, feature_hash="f" * 64)
    with pytest.raises(BundleRefused, match="train one on these features") as refused:
        model_bundle.read(models, other)
    assert refused.value.reason == "features"


def test_a_bundle_of_reordered_features_is_refused(models: Path) -> None:
    digest = factories.bundle(models)
    names = model_bundle.read(models, digest).manifest.feature_names
    other = factories.forge(models, digest, {}, feature_names=names[::-1])
    with pytest.raises(BundleRefused, match="feature hash"):
        model_bundle.read(models, other)


def test_golden_rows_that_the_forest_does_not_yield_are_refused(models: Path) -> None:
    digest = factories.bundle(models)
    bundle = model_bundle.read(models, digest)
    nudged = np.nextafter(bundle.golden_p, 2.0)
    other = factories.forge(models, digest, {"golden.npz": npz.pack({"x": bundle.golden_x, "p": nudged})})
    with pytest.raises(BundleRefused, match="different in 50 of 50 rows") as refused:
        model_bundle.read(models, other)
    assert refused.value.reason == "golden"


def test_a_prior_with_trees_is_refused(models: Path) -> None:
    other = factories.forge(models, factories.bundle(models), {}, kind="prior")
    with pytest.raises(BundleRefused, match="nodes of a prior"):
        model_bundle.read(models, other)


def test_a_broken_forest_is_not_written(models: Path) -> None:
    forest = factories.forest()
    broken = dataclasses.replace(forest, probability=forest.probability + 1.0)
    with pytest.raises(BundleRefused, match="probability of node"):
        model_bundle.write(models, broken, factories.draft(), factories.rows(5))
    assert not models.exists()


@pytest.mark.parametrize(
    "rows", [factories.rows(0), factories.rows(3, columns=2), factories.rows(3).astype(np.float64)]
)
def test_golden_rows_of_another_shape_are_not_written(models: Path, rows: np.ndarray) -> None:
    with pytest.raises(BundleRefused, match="golden rows"):
        model_bundle.write(models, factories.forest(), factories.draft(), rows)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_tampered_bundle_is_refused_or_answers_the_same_and_never_kills(models: Path, seed: int) -> None:
    factories.promoted(models, factories.forest(trees=3, depth=4))
    command = [sys.executable, "-m", "unit.inference.tamper", str(models), str(seed)]
    done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, timeout=300, check=False)
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert lines[-1] == "end same"
    assert not [line for line in lines if "different" in line]
    assert {"flip refused digest", "flip refused files", "parse refused arrays", "value refused structure"} <= {*lines}

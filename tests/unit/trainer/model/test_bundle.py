import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from tapeline.model import bundle as model_bundle
from tapeline_trainer.errors import ForestMismatch
from tapeline_trainer.model import bundle, training

from unit.trainer import factories

METADATA = bundle.TrainingMetadata(
    created_at_ms=factories.START_MS,
    expires_at_ms=factories.START_MS + 1,
    training_from_ms=factories.START_MS - 9,
    training_to_ms=factories.START_MS - 1,
    training_rows=7,
    data_digest="0" * 64,
    metrics={"auc": 0.6},
    threshold=0.4,
    parent_digest=None,
)


def fitted(seed: int, **how: object) -> tuple[RandomForestClassifier, np.ndarray]:
    data = factories.noise(3_000, seed)
    model = RandomForestClassifier(n_estimators=12, random_state=seed, n_jobs=1, **how)
    return model.fit(data.x, data.y), data.x


@pytest.mark.parametrize("how", [{}, {"max_depth": 1}, {"min_samples_leaf": 40}, {"class_weight": "balanced"}])
def test_plain_arrays_predict_as_scikit_learn_to_the_last_bit(how: dict[str, object]) -> None:
    model, x = fitted(1, **how)
    strange = np.vstack([x, x * 1e30, -x * 1e-30, np.zeros_like(x[:1])])
    forest = bundle.forest_from_sklearn(model)
    model_bundle.check(forest, x.shape[1])
    assert not forest.threshold[forest.feature == -1].any()
    assert model_bundle.predict(forest, strange).tobytes() == model.predict_proba(strange)[:, 1].tobytes()


def test_rows_exactly_on_a_threshold_go_the_same_way() -> None:
    model, x = fitted(2, max_depth=4)
    forest = bundle.forest_from_sklearn(model)
    inner = forest.feature >= 0
    rows = np.repeat(x[:1], inner.sum(), axis=0)
    rows[np.arange(inner.sum()), forest.feature[inner]] = forest.threshold[inner].astype(np.float32)
    assert model_bundle.predict(forest, rows).tobytes() == model.predict_proba(rows)[:, 1].tobytes()


def test_forest_of_a_single_leaf_is_exported() -> None:
    model, x = fitted(3, min_samples_leaf=3_000)
    forest = bundle.forest_from_sklearn(model)
    assert forest.feature.tolist() == [-1] * 12
    bundle.verify(forest, model, x)


def test_verification_refuses_a_forest_that_differs_in_one_leaf() -> None:
    model, x = fitted(4, max_depth=2)
    forest = bundle.forest_from_sklearn(model)
    forest.probability[np.flatnonzero(forest.feature == -1)[0]] += 1e-9
    with pytest.raises(ForestMismatch, match="no model was touched"):
        bundle.verify(forest, model, x)


def test_forest_of_other_classes_is_refused() -> None:
    model = RandomForestClassifier(n_estimators=1).fit(np.zeros((4, 2)), [1, 2, 1, 2])
    with pytest.raises(ValueError, match=r"must be \[0, 1\]"):
        bundle.forest_from_sklearn(model)


def served_from(models: Path, forest: model_bundle.Forest, draft: model_bundle.Draft, x: np.ndarray) -> str:
    digest = bundle.write(models, forest, draft, x)
    model_bundle.promote(models, digest)
    return digest


def test_published_bundle_is_served_and_says_what_it_is(tmp_path: Path) -> None:
    model, x = fitted(5, max_depth=5)
    digest = served_from(tmp_path, bundle.forest_from_sklearn(model), bundle.draft_manifest("forest", METADATA), x)
    found = model_bundle.read(tmp_path, digest)
    assert model_bundle.current(tmp_path) == digest == bundle.usable_current(tmp_path)
    assert (found.manifest.kind, found.manifest.threshold, found.manifest.metrics) == ("forest", 0.4, {"auc": 0.6})
    assert {"numpy", "scikit-learn", "python"} <= set(found.manifest.libraries)
    assert found.golden_p.tobytes() == training.probabilities(model, x[:64]).tobytes()


def test_nothing_is_served_from_an_empty_folder_or_a_broken_bundle(tmp_path: Path) -> None:
    assert bundle.usable_current(tmp_path / "none") is None
    x = np.zeros((2, 19), dtype=np.float32)
    digest = served_from(tmp_path, model_bundle.prior_forest(0.5), bundle.draft_manifest("prior", METADATA), x)
    (tmp_path / digest / "forest.npz").write_bytes(b"broken")
    assert bundle.usable_current(tmp_path) is None
    (tmp_path / "current").write_text("no digest")
    assert bundle.usable_current(tmp_path) is None


@pytest.mark.parametrize(
    ("kind", "before_expiry_ms", "stays"), [("forest", 1, True), ("forest", 0, False), ("prior", 1, False)]
)
def test_only_a_forest_within_its_time_is_kept_instead_of_a_new_prior(
    tmp_path: Path, kind, before_expiry_ms, stays
) -> None:
    x = np.zeros((2, 19), dtype=np.float32)
    digest = served_from(tmp_path, model_bundle.prior_forest(0.5), bundle.draft_manifest(kind, METADATA), x)
    assert bundle.may_stay(tmp_path, digest, METADATA.expires_at_ms - before_expiry_ms) is stays


KILLED_PROCESS = """
import os, signal, sys
from pathlib import Path
import numpy as np
from tapeline.model import bundle as model_bundle
from tapeline_trainer.model import bundle
from unit.trainer.model.test_bundle import METADATA

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

setattr({module}, "{function}", die)
x = np.zeros((2, 19), dtype=np.float32)
models = Path(sys.argv[1])
manifest = bundle.draft_manifest("prior", METADATA)
model_bundle.promote(models, bundle.write(models, model_bundle.prior_forest(0.75), manifest, x))
"""


@pytest.mark.parametrize(
    ("module", "function"),
    [("model_bundle", "promote"), ("model_bundle", "sync_folder"), ("model_bundle", "write_atomically")],
)
def test_run_killed_before_the_promotion_leaves_the_served_model(tmp_path: Path, module, function) -> None:
    x = np.zeros((2, 19), dtype=np.float32)
    served = served_from(tmp_path, model_bundle.prior_forest(0.5), bundle.draft_manifest("prior", METADATA), x)
    script = KILLED_PROCESS.format(module=module, function=function)
    tests = Path(__file__).parents[3]
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=tests, check=False)
    assert killed.returncode == -9
    assert bundle.usable_current(tmp_path) == served
    assert model_bundle.read(tmp_path, served).forest.probability.tolist() == [0.5]


KILLED_AT_EACH_SYNC = """
import itertools, os, signal, sys
from pathlib import Path
import numpy as np
from tapeline.model import bundle as model_bundle
from tapeline_trainer.model import bundle
from unit.trainer.model.test_bundle import METADATA

models, served = Path(sys.argv[1]), sys.argv[2]
x, manifest = np.zeros((2, 19), dtype=np.float32), bundle.draft_manifest("prior", METADATA)
sync = os.fsync

def run(last):
    syncs = itertools.count(1)
    def fsync(descriptor):
        if next(syncs) == last:
            os.kill(os.getpid(), signal.SIGKILL)
        sync(descriptor)
    os.fsync = fsync
    model_bundle.promote(models, bundle.write(models, model_bundle.prior_forest(0.75), manifest, x))
    os._exit(0)

for last in itertools.count(1):
    child = os.fork()
    if not child:
        run(last)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    current = bundle.usable_current(models)
    print(code, "old" if current == served else "none" if current is None else "new")
    if code == 0:
        break
    if current != served:
        model_bundle.promote(models, served)
"""


def test_run_killed_at_any_sync_leaves_a_usable_model_and_the_next_run_succeeds(tmp_path: Path) -> None:
    x = np.zeros((2, 19), dtype=np.float32)
    served = served_from(tmp_path, model_bundle.prior_forest(0.5), bundle.draft_manifest("prior", METADATA), x)
    command = [sys.executable, "-c", KILLED_AT_EACH_SYNC, str(tmp_path), served]
    done = subprocess.run(command, cwd=Path(__file__).parents[3], check=True, capture_output=True, text=True)
    outcomes = done.stdout.splitlines()
    assert {"-9 old", "-9 new", "0 new"} == set(outcomes) and outcomes[-1] == "0 new"

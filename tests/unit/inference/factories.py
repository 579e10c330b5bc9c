"""Forests, rows and bundles for tests, from scikit-learn or written by hand."""

import functools
import hashlib
import time
from pathlib import Path

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from tapeline.model import bundle as model_bundle
from tapeline.model import features, npz
from tapeline.model.bundle import Draft, Forest, Manifest
from tapeline.model.forest import ARRAYS
from tapeline_trainer.model.bundle import forest_from_sklearn

COLUMNS = len(features.FEATURE_NAMES)
FLOAT32_MAX = np.finfo(np.float32).max
NOW_MS = 1_790_000_000_000
DAY_MS = 86_400_000


def rows(count: int, seed: int = 0, columns: int = COLUMNS) -> np.ndarray:
    """Rows of very different scales, some columns discrete, as features are."""
    random = np.random.default_rng(seed)
    x = random.standard_t(3, size=(count, columns)) * np.logspace(-3, 4, columns)
    x[:, 0] = np.sign(x[:, 0])
    x[:, -1] = np.round(x[:, -1])
    return x.astype(np.float32)


@functools.cache
def model(trees: int = 20, depth: int | None = 6, leaf: int = 1, seed: int = 0, count: int = 2_000):
    """A fitted scikit-learn forest that predicts with one job."""
    x = rows(count, seed)
    random = np.random.default_rng(seed + 1)
    y = (x[:, 0] + np.tanh(x[:, 1] * 100) + random.normal(size=count) > 0).astype(int)
    fitted = RandomForestClassifier(trees, max_depth=depth, min_samples_leaf=leaf, random_state=seed, n_jobs=1)
    return fitted.fit(x, y)


@functools.cache
def forest(**settings: int) -> Forest:
    """The arrays of `model`."""
    return forest_from_sklearn(model(**settings))


def expected_probabilities(x: np.ndarray, **settings: int) -> np.ndarray:
    """Return what scikit-learn predicts for some rows: the oracle."""
    # Its check for finite values sums all of them, which overflows at the edges of float32.
    with np.errstate(over="ignore", invalid="ignore"):
        return model(**settings).predict_proba(x)[:, 1]


def edge_rows(some: Forest, seed: int = 0, columns: int = COLUMNS) -> np.ndarray:
    """Rows whose values are the thresholds themselves, their float32 neighbours, and extremes."""
    random = np.random.default_rng(seed)
    with np.errstate(over="ignore"):
        near = some.threshold[some.left != -1].astype(np.float32)
    near = near[np.isfinite(near)][:5_000]
    tiny = np.finfo(np.float32).smallest_subnormal
    extremes = np.array([0.0, -0.0, tiny, -tiny, 1e-40, -1e-40, FLOAT32_MAX, -FLOAT32_MAX, 1.0], dtype=np.float32)
    with np.errstate(over="ignore"):
        pool = np.concatenate([near, np.nextafter(near, np.float32(np.inf)), np.nextafter(near, np.float32(-np.inf))])
    pool = np.concatenate([pool[np.isfinite(pool)], np.repeat(extremes, 1 + len(pool) // 50)])
    return random.choice(pool, size=(3_000, columns)).astype(np.float32)


def draft(**changes: object) -> Draft:
    """A manifest that is valid today."""
    now_ms = time.time_ns() // 1_000_000
    fields = {
        "kind": "forest",
        "created_at_ms": now_ms,
        "expires_at_ms": now_ms + DAY_MS,
        "label_version": "next-different-price-1",
        "training_from_ms": NOW_MS - DAY_MS,
        "training_to_ms": NOW_MS,
        "training_rows": 2_000,
        "data_digest": "0" * 64,
        "metrics": {"auc": 0.6},
        "threshold": 0.5,
        "libraries": {"numpy": np.__version__},
    }
    return Draft.model_validate({**fields, **changes})


def bundle(models: Path, some: Forest | None = None, **changes: object) -> str:
    """Write a bundle and return its digest."""
    return model_bundle.write(models, some or forest(), draft(**changes), rows(50, seed=9))


def promoted(models: Path, some: Forest | None = None, **changes: object) -> str:
    """Write a bundle, promote it and return its digest."""
    digest = bundle(models, some, **changes)
    model_bundle.promote(models, digest)
    return digest


def forge(models: Path, digest: str, files: dict[str, bytes], **changes: object) -> str:
    """Copy a bundle with other contents, all hashes right: what someone who can write the folder can do."""
    manifest = Manifest.model_validate_json((models / digest / model_bundle.MANIFEST).read_bytes())
    contents = {
        name: (models / digest / name).read_bytes() for name in (model_bundle.FOREST, model_bundle.GOLDEN)
    } | files
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    forged = manifest.model_copy(update={"files": hashes, **changes}).to_bytes()
    folder = models / hashlib.sha256(forged).hexdigest()
    folder.mkdir(exist_ok=True)
    for name, content in {**contents, model_bundle.MANIFEST: forged}.items():
        (folder / name).write_bytes(content)
    return folder.name


def forge_forest(models: Path, digest: str, some: Forest) -> str:
    """`forge` with another forest and the golden rows of the first."""
    return forge(models, digest, {model_bundle.FOREST: npz.pack({name: getattr(some, name) for name in ARRAYS})})

"""Reads, writes and promotes model bundles: folders that hold a forest as plain arrays, and no code.

    MODELS/<digest>/manifest.json   metadata; the digest is the sha256 of these very bytes
    MODELS/<digest>/forest.npz      the arrays of tapeline.model.forest.Forest, stored, not compressed
    MODELS/<digest>/golden.npz      rows and their expected probabilities
    MODELS/current                  the digest of the promoted bundle, replaced atomically

No pickle is ever read. `read` trusts nothing: sizes, hashes, types, structure, features and golden
rows are checked before a forest is returned. Expiry is not checked here: the server does.
To add a field to the manifest: manifest.py. To add a rule: a `_check_*`, and a tampered bundle in the tests.
"""

import hashlib
import re
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from tapeline.model import features, npz
from tapeline.model.forest import (
    ARRAYS,
    BundleRefused,
    Floats,
    Forest,
    Singles,
    check,
    predict,
    prior_forest,
)
from tapeline.model.manifest import Draft, Manifest
from tapeline.service.files import sync_folder, write_atomically

__all__ = [
    "Bundle",
    "BundleRefused",
    "Draft",
    "Forest",
    "Manifest",
    "check",
    "current",
    "predict",
    "prior_forest",
    "promote",
    "put",
    "read",
    "write",
]

CURRENT: Final = "current"
MANIFEST: Final = "manifest.json"
FOREST: Final = "forest.npz"
GOLDEN: Final = "golden.npz"
GOLDEN_ARRAYS: Final[dict[str, np.dtype[Any]]] = {"x": np.dtype("<f4"), "p": np.dtype("<f8")}
GOLDEN_ROWS_MAX: Final = 10_000
BYTES_MAX: Final = {MANIFEST: 1 << 20, FOREST: 128 << 20, GOLDEN: 16 << 20}
_Arrays = dict[str, npt.NDArray[Any]]
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Bundle:
    """A model that passed every check.

    Attributes:
        digest: its version, 64 hex digits.
        manifest: its metadata.
        forest: its trees.
        golden_x: (g, k) float32 rows.
        golden_p: (g,) float64, their expected probabilities, to the last bit.
    """

    digest: str
    manifest: Manifest
    forest: Forest
    golden_x: Singles
    golden_p: Floats


def write(models: Path, forest: Forest, draft: Draft, golden_x: Singles) -> str:
    """Write a bundle atomically, and return its digest.

    Args:
        models: folder of all bundles; created where it is missing.
        forest: the trees.
        draft: everything of the manifest but the file hashes.
        golden_x: (g, k) float32, 1 to GOLDEN_ROWS_MAX finite rows, preferably of real trades.

    Raises:
        BundleRefused: `read` would refuse it.
        OSError: the folder cannot be written.
    """
    check(forest, len(draft.feature_names))
    _check_golden_x(golden_x, len(draft.feature_names))
    contents = {
        FOREST: npz.pack({name: getattr(forest, name) for name in ARRAYS}),
        GOLDEN: npz.pack({"x": np.ascontiguousarray(golden_x), "p": predict(forest, golden_x)}),
    }
    files = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    contents[MANIFEST] = Manifest.model_validate({**draft.model_dump(), "files": files}).to_bytes()
    return put(models, contents)


def put(models: Path, contents: dict[str, bytes]) -> str:
    """Store the files of a bundle atomically, verify it, and return its digest.

    Args:
        models: folder of all bundles; created where it is missing.
        contents: by the names MANIFEST, FOREST and GOLDEN.

    Raises:
        BundleRefused: `read` refuses it.
        OSError: the folder cannot be written.
    """
    digest = hashlib.sha256(contents[MANIFEST]).hexdigest()
    models.mkdir(parents=True, exist_ok=True)
    temporary = models / f".writing-{secrets.token_hex(8)}"
    try:
        _write_folder(temporary, contents)
        if not (models / digest).exists():
            temporary.rename(models / digest)
            sync_folder(models)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    read(models, digest)
    return digest


def _write_folder(folder: Path, contents: dict[str, bytes]) -> None:
    folder.mkdir()
    for name, content in contents.items():
        write_atomically(folder / name, content)


def read(models: Path, digest: str) -> Bundle:
    """Return a bundle after every check.

    Args:
        models: folder of all bundles.
        digest: 64 hex digits.

    Raises:
        BundleRefused: with the first rule it breaks.
    """
    if not _DIGEST.fullmatch(digest):
        raise BundleRefused("digest", "digest", repr(digest[:80]), "it must be 64 lower-case hex digits")
    folder = models / digest
    manifest = _read_manifest(folder, digest)
    forest = Forest(**_read_arrays(folder, FOREST, manifest, ARRAYS))
    check(forest, len(manifest.feature_names))
    _check_kind(forest, manifest)
    golden = _read_arrays(folder, GOLDEN, manifest, GOLDEN_ARRAYS)
    _check_golden(forest, golden["x"], golden["p"], len(manifest.feature_names))
    return Bundle(digest, manifest, forest, golden["x"], golden["p"])


def _read_manifest(folder: Path, digest: str) -> Manifest:
    content = _read_file(folder / MANIFEST)
    actual = hashlib.sha256(content).hexdigest()
    if actual != digest:
        raise BundleRefused("digest", f"sha256 of {MANIFEST}", actual, f"it must be {digest}, its folder's name")
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
        raise BundleRefused("manifest", MANIFEST, f"not valid ({found})", "write it with bundle.write") from None
    if set(manifest.files) != {FOREST, GOLDEN}:
        raise BundleRefused("manifest", "files", sorted(manifest.files), f"they must be {FOREST} and {GOLDEN}")
    if manifest.feature_hash != features.schema_hash() or manifest.feature_names != features.FEATURE_NAMES:
        raise BundleRefused(
            "features",
            "feature hash",
            f"{manifest.feature_hash} (version {manifest.feature_version})",
            f"it must be {features.schema_hash()} (version {features.VERSION}); train one on these features",
        )
    return manifest


def _read_file(path: Path) -> bytes:
    limit = BYTES_MAX[path.name]
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise BundleRefused("files", str(path.name), f"unreadable ({error.strerror})", "it must be there") from None
    if len(content) > limit:
        raise BundleRefused("files", f"size of {path.name}", f"above {limit} bytes", f"{limit} is the most")
    return content


def _read_arrays(folder: Path, name: str, manifest: Manifest, types: dict[str, np.dtype[Any]]) -> _Arrays:
    content = _read_file(folder / name)
    actual = hashlib.sha256(content).hexdigest()
    expected = {str(file): digest for file, digest in manifest.files.items()}[name]
    if actual != expected:
        raise BundleRefused("files", f"sha256 of {name}", actual, f"the manifest says {expected}")
    return npz.unpack(content, types, name)


def _check_kind(forest: Forest, manifest: Manifest) -> None:
    if manifest.kind == "prior" and forest.nodes != 1:
        raise BundleRefused("structure", "number of nodes of a prior", forest.nodes, "it must be 1")


def _check_golden_x(x: npt.NDArray[Any], feature_count: int) -> None:
    if x.dtype != np.float32 or x.ndim != 2 or x.shape[1] != feature_count:
        was = f"{x.dtype} {x.shape}"
        raise BundleRefused("golden", "golden rows", was, f"they must be float32 (g, {feature_count})")
    if not 1 <= len(x) <= GOLDEN_ROWS_MAX:
        raise BundleRefused("golden", "number of golden rows", len(x), f"it must be 1 to {GOLDEN_ROWS_MAX}")
    if not np.all(np.isfinite(x)):
        raise BundleRefused("golden", "golden rows", "not all finite", "leave out rows without features")


def _check_golden(forest: Forest, x: Singles, p: Floats, feature_count: int) -> None:
    _check_golden_x(x, feature_count)
    if p.shape != (len(x),):
        raise BundleRefused("golden", "golden probabilities", p.shape, f"they must be ({len(x)},)")
    wrong = predict(forest, x) != p
    if np.any(wrong):
        was = f"different in {int(np.sum(wrong))} of {len(x)} rows"
        raise BundleRefused("golden", "golden probabilities", was, "the forest must yield them to the last bit")


def promote(models: Path, digest: str) -> None:
    """Make a bundle the current one, atomically.

    Args:
        models: folder of all bundles.
        digest: the bundle.

    Raises:
        BundleRefused: the bundle fails a check; the pointer stays.
        OSError: the folder cannot be written.
    """
    read(models, digest)
    write_atomically(models / CURRENT, f"{digest}\n".encode())


def current(models: Path) -> str | None:
    """Return the digest of the promoted bundle, or None where nothing was promoted yet.

    Raises:
        BundleRefused: the pointer holds no digest, or cannot be read.
    """
    try:
        with (models / CURRENT).open("rb") as file:
            content = file.read(128)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise BundleRefused("pointer", CURRENT, f"unreadable ({error.strerror})", "it must be a file") from None
    digest = content.decode("ascii", "replace").strip()
    if not _DIGEST.fullmatch(digest):
        raise BundleRefused("pointer", CURRENT, repr(digest[:80]), "it must hold 64 lower-case hex digits")
    return digest

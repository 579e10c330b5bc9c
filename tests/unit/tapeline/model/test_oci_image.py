import gzip
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tapeline.model import bundle, oci_image, oci_layer
from tapeline.model.bundle import BundleRefused
from tapeline.model.oci_image import Blob, Image, Reference

from unit.tapeline import models

DIGEST = "sha256:" + "a" * 64


def packed(folder: Path, **changes: object) -> Image:
    return oci_image.pack(folder, models.bundle(folder, **changes))


def stored(of: Image) -> dict[str, bytes]:
    """What a registry would hold, by path."""
    documents = {f"manifests/{m.digest}": m.content for m in (*of.manifests, of.index)}
    return documents | {f"blobs/{b.digest}": b.content for b in of.blobs}


def getting(contents: dict[str, bytes]) -> oci_image.Get:
    def get(path: str, accept: str, limit: int) -> bytes:
        assert accept and len(contents[path]) <= limit
        return contents[path]

    return get


ELSEWHERE = """
import sys
from pathlib import Path
from tapeline.model import oci_image
from unit.tapeline import models

folder = Path(sys.argv[1])
print(oci_image.pack(folder, models.bundle(folder)).index.digest)
"""


def test_same_bundle_is_the_same_image_wherever_and_whenever_it_is_made(tmp_path: Path) -> None:
    here = packed(tmp_path / "a")
    assert here == packed(tmp_path / "b")
    other = {**os.environ, "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7", "LC_ALL": "C"}
    command = [sys.executable, "-c", ELSEWHERE, str(tmp_path / "c")]
    tests = Path(__file__).parents[3]
    there = subprocess.run(command, env=other, cwd=tests, umask=0o077, capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here.index.digest


def test_another_bundle_is_another_image(tmp_path: Path) -> None:
    assert packed(tmp_path, probability=0.25).index.digest != packed(tmp_path).index.digest


def test_image_is_a_real_one_for_both_architectures(tmp_path: Path) -> None:
    packed_image = packed(tmp_path)
    contents = stored(packed_image)
    entries = json.loads(packed_image.index.content)["manifests"]
    assert [entry["platform"] for entry in entries] == [
        {"os": "linux", "architecture": architecture} for architecture in ("amd64", "arm64")
    ]
    for entry in entries:
        manifest = json.loads(contents[f"manifests/{entry['digest']}"])
        config = json.loads(contents[f"blobs/{manifest['config']['digest']}"])
        (one,) = manifest["layers"]
        wrapped = contents[f"blobs/{one['digest']}"]
        tar = gzip.decompress(wrapped)
        assert config["rootfs"] == {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(tar).hexdigest()]}
        assert (config["os"], config["architecture"]) == ("linux", entry["platform"]["architecture"])
        assert len(config["history"]) == 1
        assert one["size"] == len(wrapped) and one["mediaType"] == "application/vnd.oci.image.layer.v1.tar+gzip"


def test_image_says_what_model_it_holds_without_being_unpacked(tmp_path: Path) -> None:
    packed_image = packed(tmp_path, parent_digest="b" * 64)
    annotations = json.loads(packed_image.index.content)["annotations"]
    assert annotations == json.loads(packed_image.manifests[0].content)["annotations"]
    assert annotations["io.tapeline.model.digest"] == bundle.current(tmp_path)
    assert annotations["io.tapeline.model.training-from"] == "2026-09-21T13:13:20.000+00:00"
    assert annotations["io.tapeline.model.metrics"] == '{"auc":0.625}'
    assert annotations["io.tapeline.model.scikit-learn"] == "1.9.1"
    assert annotations["io.tapeline.model.parent-digest"] == "b" * 64
    assert all(isinstance(value, str) for value in annotations.values())


def test_pulled_layer_is_the_one_that_was_pushed_from_index_or_manifest(tmp_path: Path) -> None:
    packed_image = packed(tmp_path)
    get = getting(stored(packed_image))
    wrapped = oci_layer.wrap(oci_layer.pack(tmp_path, bundle.current(tmp_path)))
    assert (
        oci_image.pull(get, packed_image.index.digest)
        == oci_image.pull(get, packed_image.manifests[1].digest)
        == wrapped
    )


def test_bytes_that_are_not_what_their_digest_says_are_refused_at_each_step(tmp_path: Path) -> None:
    packed_image = packed(tmp_path)
    for path in (
        f"manifests/{packed_image.index.digest}",
        f"manifests/{packed_image.manifests[0].digest}",
        f"blobs/{packed_image.blobs[0].digest}",
    ):
        contents = stored(packed_image)
        contents[path] = (
            contents[path].replace(b"linux", b"minux") if b"linux" in contents[path] else contents[path] + b" "
        )
        with pytest.raises(BundleRefused, match="sha256 of what the registry gave"):
            oci_image.pull(lambda p, a, n, c=contents: c[p], packed_image.index.digest)


def manifest_of(*layers: dict[str, object]) -> tuple[oci_image.Get, str]:
    blob = Blob(oci_image.MANIFEST_TYPE, json.dumps({"layers": layers}).encode())
    return getting({f"manifests/{blob.digest}": blob.content}), blob.digest


GOOD = {"mediaType": oci_image.LAYER_TYPE, "digest": DIGEST, "size": 10}


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((), "number of layers was 0"),
        ((GOOD, GOOD), "number of layers was 2"),
        ((GOOD | {"mediaType": "application/vnd.oci.image.layer.v1.tar+zstd"},), "it must be application"),
        ((GOOD | {"digest": "sha512:" + "a" * 128},), "by sha256"),
        ((GOOD | {"digest": "sha256:../../x"},), "by sha256"),
        ((GOOD | {"size": 0},), "is the most"),
        ((GOOD | {"size": oci_layer.SIZE_MAX + 1},), "is the most"),
    ],
)
def test_image_that_is_no_model_is_refused_before_its_layer_is_requested(layers, message) -> None:
    get, digest = manifest_of(*layers)
    with pytest.raises(BundleRefused, match=message):
        oci_image.pull(get, digest)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"layers": 1}', b'{"layers": [{}]}', b"\xff"])
def test_manifest_that_cannot_be_read_is_refused(content: bytes) -> None:
    blob = Blob(oci_image.MANIFEST_TYPE, content)
    with pytest.raises(BundleRefused):
        oci_image.pull(getting({f"manifests/{blob.digest}": content}), blob.digest)


@pytest.mark.parametrize(
    "registry", ["localhost:5001", "localhost", "registry.example.com", "10.0.0.1:5000", "kind-registry:5000"]
)
def test_reference_is_read_and_written_the_same(registry: str) -> None:
    text = f"{registry}/tapeline/models@{DIGEST}"
    assert str(Reference.parse(text)) == text
    assert Reference.parse(text) == Reference(registry, "tapeline/models", DIGEST)


@pytest.mark.parametrize(
    "text",
    [
        "localhost:5001/tapeline/models:latest",
        f"localhost:5001/tapeline/models:1@{DIGEST}",
        f"localhost:5001/tapeline/models@{DIGEST.upper()}",
        f"localhost:5001/tapeline/models@{DIGEST}0",
        f"tapeline/models@{DIGEST}",
        f"localhost:5001/../models@{DIGEST}",
        f"localhost:5001/tapeline/../models@{DIGEST}",
        f"localhost:5001/tapeline//models@{DIGEST}",
        f"localhost:5001/tapeline/models@sha256:{'a' * 63}",
        f"evil.example/@localhost:5001/models@{DIGEST}",
        f"localhost:5001/models@{DIGEST}\n",
        "",
    ],
)
def test_reference_by_tag_or_without_a_registry_is_refused(text: str) -> None:
    with pytest.raises(BundleRefused, match="sha256"):
        Reference.parse(text)


def test_broken_bundle_is_not_packed(tmp_path: Path) -> None:
    digest = models.bundle(tmp_path)
    (tmp_path / digest / "golden.npz").write_bytes(b"broken")
    with pytest.raises(BundleRefused):
        oci_image.pack(tmp_path, digest)

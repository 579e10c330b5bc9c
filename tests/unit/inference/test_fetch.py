"""The init container's command against a registry on a real socket."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tapeline.model import bundle, oci_image
from tapeline.model.oci_image import Image
from tapeline_inference import fetch

from unit.fakes.registry import FakeRegistry
from unit.fakes.web import serving
from unit.tapeline import models


@pytest.fixture
def packed(tmp_path: Path) -> Image:
    return oci_image.pack(tmp_path / "source", models.bundle(tmp_path / "source"))


@pytest.fixture
def registry(packed: Image) -> FakeRegistry:
    kept = FakeRegistry()
    kept.blobs = {blob.digest: blob.content for blob in packed.blobs}
    kept.manifests = {m.digest: (m.media_type, m.content) for m in (*packed.manifests, packed.index)}
    return kept


@pytest.fixture
def address(registry: FakeRegistry) -> Iterator[str]:
    with serving(registry) as address:
        yield address


def run(reference: str, target: Path, *more: str) -> int:
    return fetch.main([reference, str(target), "--insecure", *more])


def test_fetched_model_is_the_one_that_was_pushed(tmp_path: Path, packed: Image, address: str) -> None:
    target = tmp_path / "target"
    assert run(f"{address}/tapeline/models@{packed.index.digest}", target) == 0
    digest = bundle.current(tmp_path / "source")
    assert bundle.current(target) == digest
    assert sorted(path.name for path in target.iterdir()) == sorted([digest, "current"])
    # A container that is started again finds the folder as it left it.
    assert run(f"{address}/tapeline/models@{packed.index.digest}", target) == 0


def test_registry_may_have_another_address_in_the_cluster(tmp_path: Path, packed: Image, address: str) -> None:
    reference = f"localhost:5001/tapeline/models@{packed.index.digest}"
    assert run(reference, tmp_path / "target", "--registry", address) == 0


@pytest.mark.parametrize("kind", ["layer", "manifest", "index"])
def test_changed_bytes_are_refused_and_nothing_is_put_in_place(
    tmp_path: Path, packed: Image, registry: FakeRegistry, address: str, kind: str
) -> None:
    if kind == "layer":
        registry.blobs[packed.blobs[0].digest] = packed.blobs[0].content[:-1] + b"x"
    else:
        changed = packed.index if kind == "index" else packed.manifests[0]
        registry.manifests[changed.digest] = (changed.media_type, changed.content.replace(b"Tapeline", b"tapelinE"))
    assert run(f"{address}/tapeline/models@{packed.index.digest}", tmp_path / "target") == 1
    assert not (tmp_path / "target").exists()


def test_more_bytes_than_announced_are_not_read_to_the_end(
    tmp_path: Path, packed: Image, registry: FakeRegistry, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.blobs[packed.blobs[0].digest] = packed.blobs[0].content + b"x"
    assert run(f"{address}/tapeline/models@{packed.index.digest}", tmp_path / "target") == 1
    last_log = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert f"above {len(packed.blobs[0].content)} bytes" in last_log["message"]


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("{address}/tapeline/models@sha256:" + "0" * 64, "404"),
        ("{address}/tapeline/models:latest", "it must be <registry>/<repository>@sha256"),
        ("127.0.0.1:9/tapeline/models@sha256:" + "0" * 64, "model fetch failed"),
    ],
)
def test_what_cannot_be_fetched_is_logged(tmp_path: Path, address: str, reference, message, capsys) -> None:
    assert run(reference.format(address=address), tmp_path / "target") == 1
    assert message in json.loads(capsys.readouterr().out.splitlines()[-1])["message"]


def test_plain_http_is_spoken_only_when_asked_for(tmp_path: Path, packed: Image, address: str) -> None:
    assert fetch.main([f"{address}/tapeline/models@{packed.index.digest}", str(tmp_path / "target")]) == 1


def test_target_that_cannot_be_written_ends_with_code_1(tmp_path: Path, packed: Image, address: str) -> None:
    (tmp_path / "file").write_text("in the way")
    assert run(f"{address}/tapeline/models@{packed.index.digest}", tmp_path / "file" / "models") == 1


def test_command_runs_as_a_container_would_run_it(tmp_path: Path, packed: Image, address: str) -> None:
    reference = f"{address}/tapeline/models@{packed.index.digest}"
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "tapeline_inference.fetch",
        reference,
        str(tmp_path / "t"),
        "--insecure",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["digest"] == bundle.current(tmp_path / "t")


@pytest.mark.skipif("REGISTRY" not in os.environ, reason="REGISTRY names no registry program")
def test_real_registry_is_read(tmp_path: Path, packed: Image) -> None:
    from unit.fakes.real import real_registry, upload

    with real_registry(tmp_path) as address:
        upload(address, packed)
        target = tmp_path / "target"
        assert run(f"{address}/tapeline/models@{packed.index.digest}", target) == 0
    shutil.rmtree(target)

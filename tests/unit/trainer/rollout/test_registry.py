import os
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tapeline.model import bundle, oci_image
from tapeline.model.bundle import BundleRefused
from tapeline.model.oci_image import Image
from tapeline_trainer.errors import ImageMissing, RegistryFailed
from tapeline_trainer.rollout import registry as registry_client
from tapeline_trainer.rollout import target
from tapeline_trainer.rollout.registry import Registry
from tapeline_trainer.settings import Settings

from unit.fakes.real import real_registry
from unit.fakes.registry import FakeRegistry
from unit.fakes.web import Requests, serving
from unit.tapeline import models

real = pytest.mark.skipif("REGISTRY" not in os.environ, reason="REGISTRY names no registry program")


@pytest.fixture
def kept() -> FakeRegistry:
    return FakeRegistry()


@pytest.fixture
def requests() -> Requests:
    return Requests()


@pytest.fixture
def address(kept: FakeRegistry, requests: Requests) -> Iterator[str]:
    with serving(kept, requests) as address:
        yield address


@pytest.fixture
def packed(tmp_path: Path) -> Image:
    return oci_image.pack(tmp_path / "source", models.bundle(tmp_path / "source"))


def settings(address: str, **changes: object) -> Settings:
    fields = {"registry": address, "registry_insecure": True, "retry_deadline_s": 1.0}
    return Settings(**{**fields, **changes})


def test_pushed_image_is_whole_tagged_and_named_as_nodes_name_it(packed, kept, address) -> None:
    with Registry(settings(address, registry_reference="node:5001")) as registry:
        reference = registry.push(packed, "tag")
    assert str(reference) == f"node:5001/tapeline/models@{packed.index.digest}"
    assert kept.tags["tag"] == packed.index.digest
    assert set(kept.blobs) == {blob.digest for blob in packed.blobs}
    assert {m.content for m in (*packed.manifests, packed.index)} == {content for _, content in kept.manifests.values()}


def test_pushing_again_sends_no_blob_a_second_time(packed, address, requests) -> None:
    with Registry(settings(address)) as registry:
        registry.push(packed, "tag")
        requests.seen.clear()
        registry.push(packed, "tag")
    assert not [request for request in requests.seen if request.startswith("POST")]


def test_blobs_are_sent_before_the_manifests_that_reference_them(packed, address, requests) -> None:
    with Registry(settings(address)) as registry:
        registry.push(packed, "tag")
    sent = [request for request in requests.seen if request.startswith("PUT")]
    assert len(sent) == 6
    assert all("/blobs/" in request for request in sent[:3]) and all("/manifests/" in request for request in sent[3:])
    assert sent[-1].endswith("/manifests/tag")


def test_pulled_bundle_is_the_pushed_one(tmp_path, packed, address) -> None:
    with Registry(settings(address)) as registry:
        registry.push(packed, "tag")
        assert registry.pull(packed.index.digest, tmp_path / "back") == bundle.current(tmp_path / "source")


def test_image_that_is_not_there_is_distinguished_from_a_registry_that_fails(tmp_path, kept, address) -> None:
    with Registry(settings(address)) as registry:
        with pytest.raises(ImageMissing, match="404"):
            registry.pull("sha256:" + "0" * 64, tmp_path)
        kept.failures = [500] * 100
        with pytest.raises(RegistryFailed, match="500") as failed:
            registry.pull("sha256:" + "0" * 64, tmp_path)
    assert not isinstance(failed.value, ImageMissing)


def test_registry_that_is_not_there_is_reported_after_the_retries(packed) -> None:
    with Registry(settings("127.0.0.1:9")) as registry, pytest.raises(RegistryFailed, match="ConnectError"):
        registry.push(packed, "tag")


def test_changed_layer_is_refused(tmp_path, packed, kept, address) -> None:
    with Registry(settings(address)) as registry:
        registry.push(packed, "tag")
        kept.blobs[packed.blobs[0].digest] = packed.blobs[0].content[:-1] + b"?"
        with pytest.raises(BundleRefused, match="sha256 of what the registry gave"):
            registry.pull(packed.index.digest, tmp_path / "back")
        kept.blobs[packed.blobs[0].digest] = packed.blobs[0].content + b"?"
        with pytest.raises(BundleRefused, match="as announced"):
            registry.pull(packed.index.digest, tmp_path / "back")


def test_upload_is_not_redirected_to_another_host_where_the_password_would_go_too(packed, kept, address) -> None:
    kept.elsewhere = "http://elsewhere.example"
    with Registry(settings(address)) as registry, pytest.raises(RegistryFailed, match=r"elsewhere\.example"):
        registry.push(packed, "tag")


def test_readers_may_be_redirected_and_send_no_credentials(tmp_path, packed, kept) -> None:
    taken: list[dict[str, str]] = []

    class Store:
        def respond(self, method, target, headers, body):
            taken.append(headers)
            return 200, {}, packed.blobs[0].content

    class Redirecting(FakeRegistry):
        def respond(self, method, target, headers, body):
            if method == "GET" and packed.blobs[0].digest in target:
                return 307, {"Location": f"http://{elsewhere}/there"}, b""
            return super().respond(method, target, headers, body)

    with serving(Store()) as elsewhere, serving(Redirecting()) as address, Registry(settings(address)) as registry:
        registry.push(packed, "tag")
        registry.pull(packed.index.digest, tmp_path / "back")
    assert len(taken) == 1 and "Authorization" not in taken[0]


@pytest.mark.parametrize(("status", "expected"), [(429, True), (503, True), (401, False), (404, False), (400, False)])
def test_only_requests_that_may_succeed_later_are_retried(status: int, expected: bool) -> None:
    request = httpx.Request("GET", "http://registry")
    error = httpx.HTTPStatusError("failed", request=request, response=httpx.Response(status, request=request))
    assert registry_client.is_transient(error) is expected


@real
def test_real_registry_keeps_what_is_pushed_and_gives_it_back(tmp_path: Path, packed: Image) -> None:
    digest = bundle.current(tmp_path / "source")
    with real_registry(tmp_path) as address, Registry(settings(address)) as registry:
        first = target.publish(registry, tmp_path / "source", digest)
        assert target.publish(registry, tmp_path / "source", digest) == first
        accept = f"{oci_image.INDEX_TYPE}, {oci_image.MANIFEST_TYPE}"
        tagged = httpx.get(f"http://{address}/v2/tapeline/models/manifests/{digest}", headers={"Accept": accept})
    assert tagged.headers["Docker-Content-Digest"] == first.digest == packed.index.digest
    assert tagged.headers["Content-Type"] == oci_image.INDEX_TYPE


@real
def test_real_registry_that_asks_for_a_password_gets_it_over_tls_only(tmp_path: Path, packed: Image) -> None:
    key, certificate, htpasswd, password = (tmp_path / name for name in ("key.pem", "ca.pem", "htpasswd", "password"))
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=registry"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    # bcrypt of "secret"; the only form that the registry takes.
    htpasswd.write_text("trainer:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n")
    password.write_text("secret\n")
    secure = {"registry_insecure": False, "registry_ca_file": certificate}
    user = {"registry_username": "trainer", "registry_password_file": password}
    with real_registry(tmp_path, tls=(certificate, key), htpasswd=htpasswd) as address:
        with Registry(settings(address, **secure, **user)) as registry:
            reference = registry.push(packed, "tag")
            registry.pull(reference.digest, tmp_path / "back")
        with Registry(settings(address, **secure)) as registry, pytest.raises(RegistryFailed, match="401"):
            registry.push(packed, "tag")
        password.write_text("wrong")
        with Registry(settings(address, **secure, **user)) as registry, pytest.raises(RegistryFailed, match="401"):
            registry.push(packed, "tag")
        with Registry(settings(address, registry_insecure=False)) as registry, pytest.raises(RegistryFailed):
            registry.push(packed, "tag")


def test_authority_that_cannot_be_read_is_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        Registry(settings("r:1", registry_ca_file=tmp_path / "none"))
    (tmp_path / "bad.pem").write_text("no certificate")
    with pytest.raises(ssl.SSLError):
        Registry(settings("r:1", registry_ca_file=tmp_path / "bad.pem"))

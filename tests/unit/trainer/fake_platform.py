"""A platform of fakes on real sockets: registry, API server, inference service, and an installed bootstrap model."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tapeline.model import bundle as model_bundle
from tapeline.model import oci_image, oci_layer
from tapeline_trainer.settings import Settings

from unit.fakes.apiserver import FakeCluster
from unit.fakes.registry import FakeRegistry
from unit.fakes.service import FakeService
from unit.fakes.web import Requests, serving
from unit.tapeline import models

QUICK = {
    "poll_s": 0.01,
    "watch_s": 0.05,
    "watch_tolerance_s": 0.3,
    "rollout_timeout_s": 30.0,
    "retry_deadline_s": 10.0,
    "cluster_timeout_s": 5.0,
}
NODES = "127.0.0.1:5001"
"""The registry as nodes name it: no roll-out may depend on the trainer's own name for it."""


@dataclass
class FakePlatform:
    """The running fakes, and the settings with which the trainer reaches them."""

    registry: FakeRegistry
    cluster: FakeCluster
    service: FakeService
    requests: Requests
    fields: dict[str, object]
    bootstrap_reference: str
    bootstrap_digest: str
    folder: Path

    def settings(self, **changes: object) -> Settings:
        return Settings(**{**self.fields, **changes})

    def environment(self, **changes: str) -> dict[str, str]:
        return {f"TRAINER_{name.upper()}": str(value) for name, value in {**self.fields, **changes}.items()}

    def bundle(self, probability: float = 0.75) -> str:
        """Write a bundle to roll out, in its own folder; return its digest."""
        return models.bundle(self.folder / "new", probability, parent_digest=self.bootstrap_digest)

    def reference_of(self, digest: str) -> str:
        packed = oci_image.pack(self.folder / "new", digest)
        return f"{NODES}/tapeline/models@{packed.index.digest}"


def kubeconfig(path: Path, address: str) -> Path:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://{address}"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    path.write_text(json.dumps(content))
    return path


@contextmanager
def fake_platform(folder: Path, **cluster: object) -> Iterator[FakePlatform]:
    """Start the fakes; the service serves the model of the newest ready replicas."""
    bootstrap = models.bundle(folder / "bootstrap")
    packed = oci_image.pack(folder / "bootstrap", bootstrap)
    registry = FakeRegistry()
    registry.blobs = {blob.digest: blob.content for blob in packed.blobs}
    registry.manifests = {m.digest: (m.media_type, m.content) for m in (*packed.manifests, packed.index)}
    reference = f"{NODES}/tapeline/models@{packed.index.digest}"
    api = FakeCluster(reference, **{"annotations": {"tapeline/model-digest": bootstrap}, **cluster})
    requests, service = Requests(), FakeService(lambda: served_digest(registry, api))
    with ExitStack() as stack:
        sites = [stack.enter_context(serving(site, requests)) for site in (registry, api, service)]
        fields = {
            "registry": sites[0],
            "registry_reference": NODES,
            "registry_insecure": True,
            "kubeconfig": kubeconfig(folder / "kubeconfig", sites[1]),
            "inference_url": f"http://{sites[2]}",
            "models": folder / "models",
            "output": folder / "out",
            **QUICK,
        }
        yield FakePlatform(registry, api, service, requests, fields, reference, bootstrap, folder)


def served_digest(registry: FakeRegistry, cluster: FakeCluster) -> str:
    """Return the digest of the bundle in the image of the newest template that has ready pods."""
    reference = [cluster.reference_in(found["template"]) for found in cluster.sets if found["ready"]][-1]
    return verified_digest(registry, reference)


def verified_digest(registry: FakeRegistry, reference: str) -> str:
    """Return the digest of the bundle in an image of the registry, after every check."""

    def get(path: str, accept: str, limit: int) -> bytes:
        kind, _, digest = path.partition("/")
        return registry.manifests[digest][1] if kind == "manifests" else registry.blobs[digest]

    with TemporaryDirectory() as folder:
        digest = oci_layer.unpack(oci_image.pull(get, reference.partition("@")[2]), Path(folder))
        assert model_bundle.current(Path(folder)) == digest
    return digest

"""A platform on real sockets: registry, API server, inference service, and a seed that is installed and served."""

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
"""The registry as nodes would call it: no roll-out may depend on the trainer's own name for it."""


@dataclass
class Platform:
    """What runs, and how the trainer is told of it."""

    registry: FakeRegistry
    cluster: FakeCluster
    service: FakeService
    requests: Requests
    given: dict[str, object]
    seed_reference: str
    seed: str
    folder: Path

    def settings(self, **changes: object) -> Settings:
        return Settings(**{**self.given, **changes})

    def environment(self, **changes: str) -> dict[str, str]:
        return {f"TRAINER_{name.upper()}": str(value) for name, value in {**self.given, **changes}.items()}

    def bundle(self, probability: float = 0.75) -> str:
        """Write a bundle that is to be rolled out, in a folder of its own; return its digest."""
        return models.bundle(self.folder / "new", probability, parent_digest=self.seed)

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
def platform(folder: Path, **cluster: object) -> Iterator[Platform]:
    """Start it; the service answers with whatever model the Deployment has brought up."""
    seed = models.bundle(folder / "seed")
    packed = oci_image.pack(folder / "seed", seed)
    registry = FakeRegistry()
    registry.blobs = {blob.digest: blob.content for blob in packed.blobs}
    registry.manifests = {m.digest: (m.media_type, m.content) for m in (*packed.manifests, packed.index)}
    reference = f"{NODES}/tapeline/models@{packed.index.digest}"
    api = FakeCluster(reference, **{"annotations": {"tapeline/model-digest": seed}, **cluster})
    requests, service = Requests(), FakeService(lambda: models_served(registry, api))
    with ExitStack() as stack:
        sites = [stack.enter_context(serving(site, requests)) for site in (registry, api, service)]
        given = {
            "registry": sites[0],
            "registry_reference": NODES,
            "registry_insecure": True,
            "kubeconfig": kubeconfig(folder / "kubeconfig", sites[1]),
            "inference_url": f"http://{sites[2]}",
            "models": folder / "models",
            "output": folder / "out",
            **QUICK,
        }
        yield Platform(registry, api, service, requests, given, reference, seed, folder)


def models_served(registry: FakeRegistry, cluster: FakeCluster) -> str:
    """Digest of the bundle in the image of the newest template that has pods: what a request would meet."""
    reference = [cluster.reference_in(found["template"]) for found in cluster.sets if found["ready"]][-1]
    return provable(registry, reference)


def provable(registry: FakeRegistry, reference: str) -> str:
    """Digest of the bundle that an image of the registry holds, every check passed."""

    def get(path: str, accept: str, limit: int) -> bytes:
        kind, _, digest = path.partition("/")
        return registry.manifests[digest][1] if kind == "manifests" else registry.blobs[digest]

    with TemporaryDirectory() as there:
        digest = oci_layer.unpack(oci_image.pull(get, reference.partition("@")[2]), Path(there))
        assert model_bundle.current(Path(there)) == digest
    return digest

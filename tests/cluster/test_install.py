"""A release's life: installed, changed, rolled back, taken away, and nothing of it left."""

import json

import pytest
from support import eventually

from cluster import platform
from cluster.kube import get, helm, kubectl, run

# Kubernetes' own, in every namespace.
_OWN = {"ConfigMap/kube-root-ca.crt", "ServiceAccount/default"}
# Come and go by themselves.
_PASSING = {"events", "events.events.k8s.io", "endpoints", "endpointslices.discovery.k8s.io", "pods.metrics.k8s.io"}


def left_over() -> set[str]:
    """Return kind and name of everything in our namespaces, and of what is ours outside of them."""
    kinds = kubectl("api-resources", "--namespaced", "--verbs=list", "-o", "name").split()
    found = set()
    for namespace in (platform.NAMESPACE, platform.INFERENCE):
        wanted = ",".join(kind for kind in kinds if kind not in _PASSING)
        result = json.loads(
            kubectl("-n", namespace, "get", wanted, "-o", "json", "--ignore-not-found") or '{"items":[]}'
        )
        found |= {f"{item['kind']}/{item['metadata']['name']}" for item in result["items"]}
    outside = "validatingadmissionpolicies,validatingadmissionpolicybindings,clusterroles,clusterrolebindings"
    named = kubectl("get", outside, "-l", "app.kubernetes.io/part-of=tapeline", "-o", "name").split()
    return (found - _OWN) | set(named)


@pytest.fixture
def path(namespaces, tmp_path):
    chosen = platform.values("192.0.2.1:9092", "http://192.0.2.1:9200", platform.model("a"))
    yield platform.write(tmp_path, chosen)
    platform.uninstall()


def reference() -> str:
    spec = get("deployment", "inference", platform.INFERENCE)["spec"]["template"]["spec"]
    (volume,) = [volume for volume in spec["volumes"] if volume["name"] == "model"]
    return str(volume["image"]["reference"])


def roll_out(letter: str) -> None:
    """Change the model as the trainer does."""
    spec = get("deployment", "inference", platform.INFERENCE)["spec"]["template"]["spec"]
    (number,) = [number for number, volume in enumerate(spec["volumes"]) if volume["name"] == "model"]
    where = f"/spec/template/spec/volumes/{number}/image/reference"
    patch = json.dumps([{"op": "replace", "path": where, "value": platform.model(letter)}])
    who = ("--as", platform.TRAINER, "--field-manager=tapeline-trainer")
    kubectl("-n", platform.INFERENCE, "patch", "deployment", "inference", "--type=json", "-p", patch, *who)


@pytest.mark.timeout(600)
def test_a_release_is_changed_rolled_back_and_taken_away_without_a_trace(path):
    # On a cluster with nodes, pods are given their time to end: here those of the test before.
    eventually(lambda: not left_over(), "the namespaces are empty", 120)
    platform.install(path)
    assert get("deployment", "tapeline-producer", platform.NAMESPACE)["spec"]["replicas"] == 1
    platform.install(path, "--set", "apps.producer.replicas=2")
    assert get("deployment", "tapeline-producer", platform.NAMESPACE)["spec"]["replicas"] == 2
    helm("rollback", "tapeline", "1", "-n", platform.NAMESPACE)
    assert get("deployment", "tapeline-producer", platform.NAMESPACE)["spec"]["replicas"] == 1
    platform.uninstall()
    eventually(lambda: not left_over(), "nothing is left", 120)
    platform.install(path)
    assert get("deployment", "tapeline-producer", platform.NAMESPACE)["spec"]["replicas"] == 1


def test_an_upgrade_keeps_the_model_that_was_rolled_out(path):
    platform.install(path)
    assert reference() == platform.model("a")
    roll_out("b")
    platform.install(path, "--set", "apps.producer.settings.top=7")
    assert reference() == platform.model("b")


@pytest.mark.timeout(600)
def test_the_whole_platform_with_its_operators_resources_comes_and_goes(namespaces, operators_crds):
    command = ("install", "tapeline", str(platform.CHART), "-n", platform.NAMESPACE)
    helm(*command, "--set", f"apps.inference.model.reference={platform.model('a')}", "--wait=hookOnly")
    try:
        for kind in ("kafka", "elasticsearch", "kibana", "kafkatopic", "kafkauser"):
            assert run("kubectl", "-n", platform.NAMESPACE, "get", kind, "-o", "name").out.strip(), kind
        password = get("secret", "tapeline-es-writer", platform.NAMESPACE)["data"]["password"]
        helm("upgrade", *command[1:], "--reuse-values", "--wait=hookOnly")
        assert get("secret", "tapeline-es-writer", platform.NAMESPACE)["data"]["password"] == password
    finally:
        platform.uninstall()

"""What the trainer's account may do, both ways: by its role, and by the policy behind its one right to patch."""

import json

import pytest
from support import eventually

from cluster import platform
from cluster.kube import get, kubectl, run

OTHER = platform.model("b")


@pytest.fixture(scope="module")
def installed(namespaces, tmp_path_factory):
    """The platform's objects; where no node runs them, they are there all the same."""
    chosen = platform.values("192.0.2.1:9092", "http://192.0.2.1:9200", platform.model("a"))
    path = platform.write(tmp_path_factory.mktemp("values"), chosen)
    platform.install(path)
    patch = [{"op": "replace", "path": "/spec/replicas", "value": 2}]
    # A new policy takes a moment until it bites.
    eventually(lambda: "may change nothing" in as_trainer(patch).err, "the policy is in force", 30)
    yield
    platform.uninstall()


def as_trainer(patch: list[dict], *more: str):
    """Send a JSON patch of the Deployment as the trainer would, without keeping what comes of it."""
    arguments = ("-n", platform.INFERENCE, "patch", "deployment", "inference", "--type=json", "-p", json.dumps(patch))
    return run("kubectl", "--as", platform.TRAINER, *arguments, "--dry-run=server", *more)


def model_volume() -> str:
    volumes = get("deployment", "inference", platform.INFERENCE)["spec"]["template"]["spec"]["volumes"]
    (number,) = [number for number, volume in enumerate(volumes) if volume["name"] == "model"]
    return f"/spec/template/spec/volumes/{number}"


POD = "/spec/template/spec"
MAIN = f"{POD}/containers/0"


def replace(path, value):
    return [{"op": "replace", "path": path, "value": value}]


def add(path, value):
    return [{"op": "add", "path": path, "value": value}]


FORBIDDEN = {
    "another image": replace(f"{MAIN}/image", "localhost:5001/evil:1"),
    "a command": add(f"{MAIN}/command", ["sh"]),
    "arguments": add(f"{MAIN}/args", ["-c", "id"]),
    "a variable": add(f"{MAIN}/env", [{"name": "PYTHONSTARTUP", "value": "/models/x.py"}]),
    "variables from a secret": replace(f"{MAIN}/envFrom", [{"secretRef": {"name": "anything"}}]),
    "another account": replace(f"{POD}/serviceAccountName", "tapeline-trainer"),
    "a mounted token": replace(f"{POD}/automountServiceAccountToken", True),
    "a folder of the node": add(f"{POD}/volumes/-", {"name": "host", "hostPath": {"path": "/"}}),
    "a secret as a volume": add(f"{POD}/volumes/-", {"name": "s", "secret": {"secretName": "anything"}}),
    "a second container": add(f"{POD}/containers/-", {"name": "second", "image": "localhost:5001/evil:1"}),
    "an init container": add(f"{POD}/initContainers", [{"name": "first", "image": "localhost:5001/evil:1"}]),
    "more privilege": replace(f"{MAIN}/securityContext/allowPrivilegeEscalation", True),
    "a writable model": replace(f"{MAIN}/volumeMounts/0/readOnly", False),
    "another mount path": replace(f"{MAIN}/volumeMounts/0/mountPath", "/app"),
    "the node's network": add(f"{POD}/hostNetwork", True),
    "a node of its choice": add(f"{POD}/nodeName", "elsewhere"),
    "more replicas": replace("/spec/replicas", 9),
    "another strategy": replace("/spec/strategy", {"type": "Recreate"}),
    "a label of the pods": add("/spec/template/metadata/labels/mine", "yes"),
    "an annotation of the pods": add("/spec/template/metadata/annotations/mine", "yes"),
    "a label of the Deployment": add("/metadata/labels/mine", "yes"),
}
MODELS = {
    "a tag": f"{platform.REGISTRY}/tapeline/models:latest",
    "another registry": f"example.org/tapeline/models@sha256:{'b' * 64}",
    "another repository": f"{platform.REGISTRY}/tapeline/producer@sha256:{'b' * 64}",
    "a digest that is cut": f"{platform.REGISTRY}/tapeline/models@sha256:{'b' * 63}",
    "a name that only begins so": f"{platform.REGISTRY}/tapeline/models-evil@sha256:{'b' * 64}",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_the_trainer_is_refused(installed, what):
    result = as_trainer(FORBIDDEN[what])
    assert result.code != 0, result.out
    assert "tapeline-trainer-model-only" in result.err, result.err


@pytest.mark.parametrize("what", MODELS)
def test_the_trainer_is_refused_a_model_of(installed, what):
    result = as_trainer(replace(f"{model_volume()}/image/reference", MODELS[what]))
    assert result.code != 0, result.out
    assert "tapeline-trainer-model-only" in result.err, result.err


def test_the_trainer_is_refused_a_secret_in_place_of_the_model(installed):
    result = as_trainer(replace(model_volume(), {"name": "model", "secret": {"secretName": "anything"}}))
    assert "tapeline-trainer-model-only" in result.err, result.err


def test_the_trainer_may_name_another_model_of_ours_by_its_digest(installed):
    change = replace(f"{model_volume()}/image/reference", OTHER)
    noted = add("/spec/template/metadata/annotations/tapeline~1model-digest", "c" * 64)
    result = as_trainer([*change, *noted])
    assert result.code == 0, result.err


def test_somebody_else_with_the_right_is_not_held_by_the_trainers_policy(installed):
    patch = json.dumps(FORBIDDEN["more replicas"])
    arguments = ("patch", "deployment", "inference", "--type=json", "-p", patch, "--dry-run=server")
    kubectl("-n", platform.INFERENCE, *arguments)


MAY = [
    ("get", "deployments/inference", platform.INFERENCE),
    ("patch", "deployments/inference", platform.INFERENCE),
    ("list", "replicasets", platform.INFERENCE),
]
MAY_NOT = [
    ("update", "deployments/inference", platform.INFERENCE),
    ("patch", "deployments/other", platform.INFERENCE),
    ("patch", "deployments/tapeline-producer", platform.NAMESPACE),
    ("create", "deployments", platform.INFERENCE),
    ("delete", "deployments/inference", platform.INFERENCE),
    ("deletecollection", "deployments", platform.INFERENCE),
    ("patch", "deployments/inference", "default"),
    ("get", "secrets", platform.INFERENCE),
    ("get", "secrets", platform.NAMESPACE),
    ("list", "configmaps", platform.NAMESPACE),
    ("create", "pods", platform.INFERENCE),
    ("create", "pods", platform.NAMESPACE),
    ("patch", "roles", platform.INFERENCE),
    ("impersonate", "serviceaccounts", platform.NAMESPACE),
    ("get", "nodes", ""),
]
SUBRESOURCES = [("update", "deployments", "scale"), ("create", "pods", "exec"), ("create", "serviceaccounts", "token")]


def can_trainer(verb: str, what: str, namespace: str, *more: str) -> bool:
    where = ("-n", namespace) if namespace else ()
    result = run("kubectl", *where, "auth", "can-i", verb, what, "--as", platform.TRAINER, *more)
    assert result.out.strip().splitlines()[-1] in ("yes", "no"), result.err
    return result.out.strip().splitlines()[-1] == "yes"


@pytest.mark.parametrize(("verb", "what", "namespace"), MAY)
def test_the_trainers_role_allows(installed, verb, what, namespace):
    assert can_trainer(verb, what, namespace)


@pytest.mark.parametrize(("verb", "what", "namespace"), MAY_NOT)
def test_the_trainers_role_does_not_allow(installed, verb, what, namespace):
    assert not can_trainer(verb, what, namespace)


@pytest.mark.parametrize(("verb", "what", "part"), SUBRESOURCES)
def test_the_trainers_role_does_not_reach_what_hangs_below(installed, verb, what, part):
    assert not can_trainer(verb, what, platform.INFERENCE, f"--subresource={part}")

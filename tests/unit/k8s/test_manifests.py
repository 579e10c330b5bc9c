import re

import yaml
from tapeline_local import paths
from tapeline_local.cluster.kind import ADDRESS
from tapeline_local.cluster.operators import KEDA, METRICS_SERVER, OPERATORS

FOLDER = paths.CHECKOUT / "k8s"
PROFILE = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}


def namespaces(file: str) -> dict[str, dict]:
    objects = yaml.safe_load_all((FOLDER / file).read_text())
    return {each["metadata"]["name"]: each["metadata"]["labels"] for each in objects if each["kind"] == "Namespace"}


def values(name: str) -> dict:
    return yaml.safe_load((FOLDER / "operators" / f"{name}.yaml").read_text())


def test_our_namespaces_enforce_the_restricted_profile():
    ours = namespaces("namespaces.yaml")
    assert set(ours) == {"tapeline", "tapeline-inference"}
    assert all(labels.items() >= PROFILE.items() for labels in ours.values())


def test_every_operator_has_a_restricted_namespace_of_its_own():
    theirs = namespaces("operators/namespaces.yaml")
    assert set(theirs) == {operator.namespace for operator in (*OPERATORS, KEDA)}
    assert all(labels.items() >= PROFILE.items() for labels in theirs.values())
    assert METRICS_SERVER.namespace == "kube-system"


def test_operators_look_at_our_namespace_alone():
    assert values("strimzi")["watchNamespaces"] == ["tapeline"]
    assert values("elastic-operator")["managedNamespaces"] == ["tapeline"]
    assert values("spark-operator")["spark"]["jobNamespaces"] == ["tapeline"]


def test_strimzi_makes_pods_that_the_profile_lets_in():
    environment = {each["name"]: each["value"] for each in values("strimzi")["extraEnvs"]}
    assert environment["STRIMZI_POD_SECURITY_PROVIDER_CLASS"] == "restricted"


def test_no_file_names_a_moving_tag():
    for file in FOLDER.rglob("*.yaml"):
        assert not re.search(r":latest\b", file.read_text()), file


def test_the_registry_is_announced_where_make_puts_it():
    (announced,) = yaml.safe_load_all((FOLDER / "registry.yaml").read_text())
    assert yaml.safe_load(announced["data"]["localRegistryHosting.v1"])["host"] == ADDRESS

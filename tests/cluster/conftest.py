"""Fixtures of the cluster that KUBECONFIG names, and a summary of what that cluster could not verify.

A test requests fixtures for its requirements. Where the cluster lacks one, the test is skipped and the summary at the
end names what stays unverified.
"""

import os
from collections.abc import Callable, Iterator

import pytest
import yaml

from cluster import running
from cluster.kube import ROOT, apply, kubectl, run

NAMESPACES = ("tapeline", "tapeline-inference")
_CRDS = {
    "strimzi": "kafkas.kafka.strimzi.io",
    "eck": "elasticsearches.elasticsearch.k8s.elastic.co",
    "spark": "sparkapplications.sparkoperator.k8s.io",
    "keda": "scaledobjects.keda.sh",
}
_STATE = "--for=jsonpath={.status.applicationState.state}"
_lacking: list[str] = []


def _has(*arguments: str) -> bool:
    return run("kubectl", *arguments, timeout_s=30.0).code == 0


def _need(holds: bool, lacks: str) -> None:
    if not holds:
        _lacking.append(lacks)
        pytest.skip(lacks)


@pytest.fixture
def lacks() -> Callable[[str], None]:
    """Call with what the cluster lacks: skips the test and adds that to the summary."""
    return lambda what: _need(False, what)


@pytest.fixture
def unproven() -> Callable[[str], None]:
    """Call with what the cluster could not verify although the test continues: adds that to the summary."""
    return _lacking.append


@pytest.fixture(scope="session")
def cluster() -> str:
    """An API server that responds; returns its version."""
    _need("KUBECONFIG" in os.environ, "KUBECONFIG names no cluster: nothing of tests/cluster is verified")
    result = run("kubectl", "version", "-o", "json", timeout_s=30.0)
    assert result.code == 0, f"KUBECONFIG={os.environ['KUBECONFIG']} does not respond: {result.err}"
    return str(yaml.safe_load(result.out)["serverVersion"]["gitVersion"])


@pytest.fixture(scope="session")
def operators_crds(cluster: str) -> None:
    """The CRDs of Strimzi, ECK and the Spark Operator."""
    missing = [name for name in ("strimzi", "eck", "spark") if not _has("get", "crd", _CRDS[name])]
    _need(not missing, f"no CRDs of {', '.join(missing)}: our resources of these operators are not verified")


@pytest.fixture(scope="session")
def node(cluster: str) -> None:
    """A node that runs pods."""
    ready = run("kubectl", "wait", "--for=condition=Ready", "node", "--all", "--timeout=5s")
    _need(ready.code == 0, "no node is ready: nothing that runs in pods is verified")


@pytest.fixture(scope="session")
def images(cluster: str) -> None:
    """The images of our services, in the registry that the nodes pull from."""
    missing = running.missing_images()
    _need(not missing, f"no images of {', '.join(missing)} in {running.HERE}: run `make images load`")


@pytest.fixture(scope="session")
def spark_operator(operators_crds: None) -> None:
    """A Spark Operator that watches our namespace: it records the state of every application."""
    name = "tapeline-test-probe"
    probe = {
        "apiVersion": "sparkoperator.k8s.io/v1beta2",
        "kind": "SparkApplication",
        "metadata": {"name": name, "namespace": NAMESPACES[0]},
        "spec": {"type": "Python", "sparkVersion": "0", "mainApplicationFile": "local:///none"}
        | {"driver": {}, "executor": {}, "image": "none", "mode": "cluster", "restartPolicy": {"type": "Never"}},
    }
    namespace = yaml.safe_load_all((ROOT / "k8s" / "namespaces.yaml").read_text())
    apply(namespace)
    apply([probe])
    try:
        recorded = run("kubectl", "-n", NAMESPACES[0], "wait", f"sparkapplication/{name}", "--timeout=60s", _STATE)
    finally:
        run("kubectl", "-n", NAMESPACES[0], "delete", "sparkapplication", name, "--wait=false")
    _need(recorded.code == 0, "no Spark Operator watches our namespace: the stream in pods is not verified")


@pytest.fixture(scope="session")
def namespaces(cluster: str) -> Iterator[tuple[str, str]]:
    """Our two namespaces of k8s/namespaces.yaml; deleted at the end."""
    documents = list(yaml.safe_load_all((ROOT / "k8s" / "namespaces.yaml").read_text()))
    result = apply(documents)
    assert result.code == 0, result.err
    yield NAMESPACES
    for name in NAMESPACES:
        kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=true", "--timeout=120s")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the cluster could not verify."""
    for lacks in dict.fromkeys(_lacking):
        terminalreporter.write_line(f"unverified here: {lacks}")

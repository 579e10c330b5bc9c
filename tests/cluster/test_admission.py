"""Everything that is rendered, taken by a real API server: strictly, and without a warning."""

from pathlib import Path

import pytest
import yaml
from charts.render import VALUES, rendered

from cluster import platform
from cluster.kube import ROOT, apply, run

MANIFESTS = [ROOT / "k8s" / "spark-application.yaml"]


def served(kinds: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return which (apiVersion, kind) the cluster does not serve."""
    lines = run("kubectl", "api-resources", "--no-headers").out.splitlines()
    known = {(words[-3], words[-1]) for words in map(str.split, lines)}
    return kinds - known


@pytest.mark.parametrize("values", VALUES)
def test_the_charts_are_accepted_strictly_and_without_a_warning(namespaces, operators_crds, values):
    documents = [document for document in rendered(values) if "helm.sh/hook" not in str(document["metadata"])]
    for document in documents:
        document["metadata"].setdefault("namespace", platform.NAMESPACE)
    unknown = served({(document["apiVersion"], document["kind"]) for document in documents})
    # Kinds of optional operators that this cluster does without; tests/charts checks those against their schemas.
    known = [d for d in documents if (d["apiVersion"], d["kind"]) not in unknown]
    assert {kind for _, kind in unknown} <= {"ServiceMonitor", "PodMonitor", "ScaledObject", "TriggerAuthentication"}
    result = apply(known, "--dry-run=server")
    assert result.code == 0, result.err
    assert not result.warnings


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_a_manifest_is_accepted_strictly_and_without_a_warning(namespaces, operators_crds, path: Path):
    result = apply(yaml.safe_load_all(path.read_text()), "--dry-run=server")
    assert result.code == 0, result.err
    assert not result.warnings


@pytest.mark.parametrize("namespace", [platform.NAMESPACE, platform.INFERENCE])
def test_a_pod_that_is_not_restricted_is_refused(namespaces, namespace):
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "plain", "namespace": namespace},
        "spec": {"containers": [{"name": "plain", "image": f"{platform.REGISTRY}/tapeline/producer:0.1.0"}]},
    }
    result = apply([pod], "--dry-run=server")
    assert result.code != 0
    assert 'violates PodSecurity "restricted' in result.err


def test_a_misspelt_field_is_refused(namespaces, operators_crds):
    (document,) = [dict(d) for d in rendered("default") if d["kind"] == "Kafka"]
    document = {**document, "spec": {**document["spec"], "kafkaa": {}}}
    document["metadata"] = {**document["metadata"], "namespace": platform.NAMESPACE}
    result = apply([document], "--dry-run=server")
    assert result.code != 0
    assert "kafkaa" in result.err

"""What the operators' controllers make of our resources."""

import pytest
from support import eventually

from cluster import platform
from cluster.kube import helm, items, run


@pytest.fixture(scope="module")
def elastic(namespaces, operators_crds):
    """Our Elasticsearch and Kibana, without anything else."""
    alone = ("--set", "kafka.enabled=false,apps.enabled=false")
    helm("install", "tapeline", str(platform.CHART), "-n", platform.NAMESPACE, *alone, "--wait=hookOnly")
    yield
    platform.uninstall()


def owned_by(kind: str, owner: str) -> list[dict]:
    found = items(kind, platform.NAMESPACE)
    return [f for f in found if any(o["kind"] == owner for o in f["metadata"].get("ownerReferences", []))]


@pytest.mark.timeout(400)
def test_eck_turns_our_elasticsearch_and_kibana_into_workloads_that_the_namespace_admits(elastic, lacks):
    seen = run("kubectl", "-n", platform.NAMESPACE, "wait", "elasticsearch/tapeline", "--timeout=60s", PHASE)
    if seen.code != 0:
        lacks("no ECK operator looks after our namespace: what it makes of Elasticsearch and Kibana is not proven")
    eventually(lambda: owned_by("statefulsets", "Elasticsearch"), "there is a StatefulSet of Elasticsearch", 120)
    eventually(lambda: owned_by("deployments", "Kibana"), "there is a Deployment of Kibana", 120)
    names = {secret["metadata"]["name"] for secret in items("secrets", platform.NAMESPACE)}
    assert {"tapeline-es-http-certs-public", "tapeline-es-elastic-user", "tapeline-es-writer"} <= names
    # Admitted, whether or not the vendor's image can be had here: the profile did not refuse them.
    eventually(lambda: owned_by("pods", "StatefulSet"), "the pods of Elasticsearch are admitted", 120)
    eventually(lambda: owned_by("pods", "ReplicaSet"), "the pods of Kibana are admitted", 120)


PHASE = "--for=jsonpath={.status.phase}"

"""A node is drained: the budget holds back the last replica, and no call fails."""

import json

import pytest
from support import eventually

from cluster import load_generator, platform, running, serving
from cluster.kube import items, kubectl, run

pytestmark = pytest.mark.timeout(600)
SELECTOR = "app.kubernetes.io/name=inference"


@pytest.fixture(scope="module")
def two_replicas(node, images, namespaces, tmp_path_factory):
    small = {"resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "768Mi"}}}
    with serving.inference(tmp_path_factory.mktemp("values"), replicas=2, **small):
        yield


def schedulable() -> list[str]:
    nodes = json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
    return [found["metadata"]["name"] for found in nodes if not found["spec"].get("unschedulable")]


def test_a_drain_never_takes_the_last_replica_and_no_call_fails(two_replicas):
    nodes = schedulable()
    name = items("pods", platform.INFERENCE, SELECTOR)[0]["spec"]["nodeName"]
    with load_generator.under_load("load-for-drain", seconds=60, threads=1):
        try:
            command = ("drain", name, f"--pod-selector={SELECTOR}", "--delete-emptydir-data", "--timeout=25s")
            result = run("kubectl", *command)
            there = len(running.pods(platform.INFERENCE, SELECTOR))
        finally:
            kubectl("uncordon", name)
        counted = load_generator.outcome("load-for-drain", 120)
    assert there >= 1
    if nodes == [name]:
        # Nowhere else to go: the first is evicted, and the second only once the first stands again.
        assert result.code != 0
        assert "disruption budget" in result.out + result.err, result.out + result.err
        assert there == 1
    assert counted["calls"] > 50 and counted["failed"] == 0, counted
    eventually(lambda: running.replicas(platform.INFERENCE, "inference") == 2, "both replicas are back", 180)

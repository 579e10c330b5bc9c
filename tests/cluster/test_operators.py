"""What the operators' controllers create from our resources."""

import hashlib

import pytest
from support import eventually
from tapeline_dashboards import objects, reader
from tapeline_dashboards.__main__ import compile_checked

from cluster import kibana_stub, platform
from cluster.kube import helm, items, run


@pytest.fixture(scope="module")
def elastic(namespaces, operators_crds):
    """Our Elasticsearch and Kibana, without anything else."""
    # A tag is overwritten by the next build, and the node may hold the image of the one before.
    images = f"global.imageRegistry={platform.REGISTRY},global.imagePullPolicy=Always"
    alone = ("--set", f"kafka.enabled=false,apps.enabled=false,{images}")
    helm("install", "tapeline", str(platform.CHART), "-n", platform.NAMESPACE, *alone, "--wait=hookOnly")
    yield
    platform.uninstall()


def owned_by(kind: str, owner: str) -> list[dict]:
    found = items(kind, platform.NAMESPACE)
    return [f for f in found if any(o["kind"] == owner for o in f["metadata"].get("ownerReferences", []))]


def needs_eck(lacks):
    seen = run("kubectl", "-n", platform.NAMESPACE, "wait", "elasticsearch/tapeline", "--timeout=60s", PHASE)
    if seen.code != 0:
        lacks("no ECK operator watches our namespace: Elasticsearch and Kibana of ECK are not verified")


@pytest.mark.timeout(400)
def test_eck_turns_our_elasticsearch_and_kibana_into_workloads_that_the_namespace_admits(elastic, lacks):
    needs_eck(lacks)
    eventually(lambda: owned_by("statefulsets", "Elasticsearch"), "there is a StatefulSet of Elasticsearch", 120)
    eventually(lambda: owned_by("deployments", "Kibana"), "there is a Deployment of Kibana", 120)
    names = {secret["metadata"]["name"] for secret in items("secrets", platform.NAMESPACE)}
    assert {"tapeline-es-http-certs-public", "tapeline-es-elastic-user", "tapeline-es-writer"} <= names
    # Admitted, whether or not the vendor's image can be had here: the profile did not refuse them.
    eventually(lambda: owned_by("pods", "StatefulSet"), "the pods of Elasticsearch are admitted", 120)
    eventually(lambda: owned_by("pods", "ReplicaSet"), "the pods of Kibana are admitted", 120)


def waits_for_an_image(pod: dict) -> bool:
    kinds = ("initContainerStatuses", "containerStatuses")
    states = [status["state"] for kind in kinds for status in pod["status"].get(kind, [])]
    return any(state.get("waiting", {}).get("reason") in ("ErrImagePull", "ImagePullBackOff") for state in states)


def job_is_complete() -> bool:
    (job,) = items("jobs", platform.NAMESPACE, "app.kubernetes.io/name=dashboards")
    return bool(job["status"].get("succeeded"))


@pytest.mark.timeout(1_000)
def test_the_job_loads_every_dashboard_past_ecks_certificates_as_a_user_of_ours(elastic, node, images, lacks, unproven):
    """Into the Kibana of ECK, or into the stub."""
    needs_eck(lacks)
    kibana = lambda: items("pods", platform.NAMESPACE, "kibana.k8s.elastic.co/name=tapeline")  # noqa: E731
    eventually(lambda: job_is_complete() or any(map(waits_for_an_image, kibana())), "Kibana runs or cannot", 900)
    if job_is_complete():
        return
    unproven("Kibana's image cannot be pulled: the Job loaded its dashboards into a stub")
    kibana_stub.start()
    try:
        eventually(job_is_complete, "the Job is complete", 300)
        made = objects.ndjson(compile_checked(reader.PACKAGE_FOLDER / "sources")).encode()
        expected = {"path": "/api/saved_objects/_import?overwrite=true", "count": made.count(b"\n")}
        assert kibana_stub.received_imports() == [expected | {"sha256": hashlib.sha256(made.rstrip(b"\n")).hexdigest()}]
    finally:
        kibana_stub.stop()


PHASE = "--for=jsonpath={.status.phase}"

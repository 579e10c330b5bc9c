"""Everything rendered, and everything in k8s/, is what the API server of the pinned Kubernetes and operators takes."""

import copy
import re

import pytest
from tapeline_local import paths
from tapeline_local.setup import packages, pins

from charts.render import VALUES, documents, label, of_kind, one, rendered
from charts.schema import faults

PLAIN = sorted(path for path in (paths.CHECKOUT / "k8s").rglob("*.yaml") if "kind: " in path.read_text())


@pytest.mark.parametrize("values", VALUES)
def test_everything_rendered_fits_its_schema_with_unknown_fields_refused(values):
    wrong = {label(document): found for document in rendered(values) if (found := faults(document))}
    assert not wrong


@pytest.mark.parametrize("path", PLAIN, ids=lambda path: str(path.relative_to(paths.CHECKOUT)))
def test_everything_applied_by_hand_fits_its_schema_with_unknown_fields_refused(path):
    found = [document for document in documents(path.read_text()) if "kind" in document]
    assert not {label(document): wrong for document in found if (wrong := faults(document))}


PLANTED = {
    "Kafka": ("spec", "kafka", "rackk"),
    "KafkaNodePool": ("spec", "storage", "volumez"),
    "KafkaTopic": ("spec", "partition"),
    "KafkaUser": ("spec", "quotas", "producerBytesRate"),
    "Elasticsearch": ("spec", "auth", "fileRealms"),
    "Kibana": ("spec", "elasticsearchReff"),
    "ScaledObject": ("spec", "maxReplicas"),
    "ServiceMonitor": ("spec", "endpoint"),
    "Deployment": ("spec", "template", "spec", "automountServiceAccountTokens"),
    "CronJob": ("spec", "concurrencypolicy"),
    "NetworkPolicy": ("spec", "podselector"),
    "ValidatingAdmissionPolicy": ("spec", "validation"),
    "Role": ("rule",),
}


@pytest.mark.parametrize(("kind", "path"), PLANTED.items())
def test_a_misspelt_field_in_any_chart_is_caught(kind, path):
    document = copy.deepcopy(of_kind(rendered("all-on"), kind)[0])
    place = document
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = []
    assert any(path[-1] in fault for fault in faults(document))


@pytest.mark.parametrize(
    ("kind", "name", "path", "value"),
    [
        ("Deployment", "inference", ("spec", "replicas"), "two"),
        ("KafkaTopic", "bybit-trades", ("spec", "partitions"), "12"),
        ("Elasticsearch", "tapeline", ("spec", "volumeClaimDeletePolicy"), "Never"),
    ],
)
def test_a_value_of_the_wrong_kind_is_caught(kind, name, path, value):
    document = copy.deepcopy(one(rendered("default"), kind, name))
    place = document
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    assert faults(document)


def test_the_schemas_are_of_the_pinned_kubernetes_and_strimzi():
    """A schema of another release lets through what the cluster refuses."""
    pinned = pins.read(paths.CHECKOUT)
    listed = packages.parse((paths.CHECKOUT / "local" / "packages.lock").read_text())
    versions = {one.place: one.version for one in listed}
    kubernetes = re.search(r":v(\d+\.\d+)\.", pinned["KIND_NODE_IMAGE"])
    assert kubernetes is not None
    assert versions["crds/kubernetes.json"].rpartition(".")[0] == kubernetes[1]
    jars = (paths.CHECKOUT / "local" / "artifacts.lock").read_text()
    assert set(re.findall(r"^io\.strimzi:[^:]+:([^:]+):jar", jars, re.MULTILINE)) == {pinned["STRIMZI_VERSION"]}

"""What is made, by name: a template that is lost or doubled shows here."""

from collections import Counter

import pytest

from charts.render import VALUES, label, namespace, of_kind, rendered

APPS = {
    "tapeline": {
        *("ConfigMap/tapeline-board", "Deployment/tapeline-board", "NetworkPolicy/tapeline-board"),
        *("Service/tapeline-board", "ServiceAccount/tapeline-board"),
        *("ConfigMap/tapeline-bootstrap", "ConfigMap/tapeline-producer", "ConfigMap/tapeline-spark"),
        *("ConfigMap/tapeline-test", "ConfigMap/tapeline-trainer", "CronJob/tapeline-trainer"),
        *("Deployment/tapeline-producer", "Job/tapeline-bootstrap-1"),
        *("NetworkPolicy/tapeline-bootstrap", "NetworkPolicy/tapeline-default-deny", "NetworkPolicy/tapeline-producer"),
        *("NetworkPolicy/tapeline-spark", "NetworkPolicy/tapeline-test", "NetworkPolicy/tapeline-trainer"),
        *("PersistentVolumeClaim/tapeline-spark-checkpoint", "Pod/tapeline-test"),
        *("Role/tapeline-spark", "RoleBinding/tapeline-spark", "Service/tapeline-producer"),
        *("ServiceAccount/tapeline-bootstrap", "ServiceAccount/tapeline-producer"),
        *("ServiceAccount/tapeline-spark", "ServiceAccount/tapeline-trainer"),
    },
    "tapeline-inference": {
        *("ConfigMap/inference", "Deployment/inference", "HorizontalPodAutoscaler/inference"),
        *("NetworkPolicy/inference", "NetworkPolicy/tapeline-default-deny", "PodDisruptionBudget/inference"),
        *("Role/tapeline-trainer", "RoleBinding/tapeline-trainer", "Service/inference", "ServiceAccount/inference"),
    },
}
CLUSTER = {
    "ValidatingAdmissionPolicy/tapeline-trainer-model-only",
    "ValidatingAdmissionPolicyBinding/tapeline-trainer-model-only",
}
KAFKA = {
    *("Kafka/tapeline", "KafkaNodePool/dual", "KafkaUser/tapeline-producer", "KafkaUser/tapeline-spark"),
    *("KafkaUser/tapeline-notifier", "KafkaTopic/trade-alerts", "KafkaTopic/trade-counts"),
    *("KafkaTopic/bybit-trades", "KafkaTopic/producer-shards", "KafkaTopic/trade-gaps", "KafkaTopic/trade-rejects"),
    "NetworkPolicy/tapeline-kafka-egress",
}
ELASTIC = {
    *("Elasticsearch/tapeline", "Kibana/tapeline", "Secret/tapeline-es-roles", "Secret/tapeline-es-bootstrap"),
    *("Secret/tapeline-es-board", "Secret/tapeline-es-trainer", "Secret/tapeline-es-writer"),
    *("NetworkPolicy/tapeline-elasticsearch", "NetworkPolicy/tapeline-kibana"),
    *("Job/tapeline-dashboards-1", "NetworkPolicy/tapeline-dashboards", "Secret/tapeline-es-dashboards"),
    "ServiceAccount/tapeline-dashboards",
}


def test_the_default_makes_exactly_this():
    found = rendered("default")
    inside = {label(each) for each in found if namespace(each) == "tapeline"} - CLUSTER
    assert inside == APPS["tapeline"] | KAFKA | ELASTIC
    assert {label(each) for each in found if namespace(each) == "tapeline-inference"} == APPS["tapeline-inference"]
    assert {label(each) for each in found} >= CLUSTER


SIMULATOR = {
    *("ConfigMap/tapeline-simulator", "Deployment/tapeline-simulator", "NetworkPolicy/tapeline-simulator"),
    *("Service/tapeline-simulator", "ServiceAccount/tapeline-simulator"),
}


def test_servers_outside_leave_the_apps_alone():
    found = {label(each) for each in rendered("outside") if namespace(each) == "tapeline"} - CLUSTER
    assert found == APPS["tapeline"] | SIMULATOR | {"PodDisruptionBudget/tapeline-producer"}


def test_all_that_can_be_switched_on_is_there():
    kinds = Counter(each["kind"] for each in rendered("all-on"))
    assert {kind: kinds[kind] for kind in ("ScaledObject", "ServiceMonitor", "PodMonitor", "PodDisruptionBudget")} == {
        "ScaledObject": 2,
        "ServiceMonitor": 5,
        "PodMonitor": 1,
        "PodDisruptionBudget": 3,
    }
    assert not kinds["HorizontalPodAutoscaler"]


@pytest.mark.parametrize("values", VALUES)
def test_no_object_is_made_twice(values):
    found = Counter(
        (each["apiVersion"], each["kind"], namespace(each), each["metadata"]["name"]) for each in rendered(values)
    )
    assert not [name for name, count in found.items() if count > 1]


@pytest.mark.parametrize("values", VALUES)
def test_everything_says_whose_it_is_and_where_it_goes(values):
    for document in rendered(values):
        labels = document["metadata"]["labels"]
        assert labels["app.kubernetes.io/part-of"] == "tapeline", label(document)
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert namespace(document) in ("tapeline", "tapeline-inference")


@pytest.mark.parametrize("values", ["all-on", "production"])
def test_data_outlives_the_release_where_it_shall(values):
    kept = {
        label(each)
        for each in rendered(values)
        if each["metadata"].get("annotations", {}).get("helm.sh/resource-policy") == "keep"
    }
    data = {label(each) for each in of_kind(rendered(values), "Kafka", "KafkaNodePool", "KafkaTopic", "Elasticsearch")}
    assert data < kept
    claims = {label(each) for each in of_kind(rendered(values), "PersistentVolumeClaim")}
    assert "PersistentVolumeClaim/tapeline-spark-checkpoint" in claims <= kept
    assert not any("keep" in str(each["metadata"]) for each in rendered("default"))

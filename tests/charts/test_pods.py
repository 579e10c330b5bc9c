"""Every pod of ours, whatever the values: restricted, bounded, probed, and of a pinned image."""

import re

import pytest
from tapeline_inference import metrics
from tapeline_producer.metrics import Metrics

from charts.pods import workloads
from charts.render import NAMESPACE, VALUES, label, namespace, of_kind, one, rendered, with_settings

PODS = [
    pytest.param(values, workload, id=f"{values}-{workload.name}")
    for values in VALUES
    for workload in workloads(rendered(values))
]
# What the restricted profile lets a pod mount: https://kubernetes.io/docs/concepts/security/pod-security-standards/
RESTRICTED_VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral"),
    *("persistentVolumeClaim", "projected", "secret", "image"),
}
IMAGE = re.compile(
    r"localhost:5001/tapeline/(producer|inference|board|notifier|trainer|spark|simulator|dashboards)(:\d+\.\d+\.\d+|@sha256:[a-f0-9]{64})"
)
everywhere = pytest.mark.parametrize(("values", "workload"), PODS)


@everywhere
def test_a_pod_is_restricted(values, workload):
    security = workload.spec["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] == security["runAsGroup"] == security["fsGroup"] >= 100
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & set(workload.spec)
    for volume in workload.spec["volumes"]:
        assert set(volume) - {"name"} <= RESTRICTED_VOLUMES
    for container in workload.containers:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not any("hostPort" in port for port in container.get("ports", []))


@everywhere
def test_only_the_trainer_gets_a_token_and_only_where_it_must(values, workload):
    """A token in a pod that needs none is what a break-in looks for first."""
    with_token = workload.service == "trainer" and values != "folder"
    assert workload.spec["automountServiceAccountToken"] is with_token
    assert workload.spec["enableServiceLinks"] is False


@everywhere
def test_the_account_of_a_pod_exists_and_is_its_own(values, workload):
    if workload.service == "test":
        assert "serviceAccountName" not in workload.spec
        return
    account = workload.spec["serviceAccountName"]
    found = [each for each in of_kind(rendered(values), "ServiceAccount") if namespace(each) == workload.namespace]
    assert account in {each["metadata"]["name"] for each in found}
    assert account.removeprefix("tapeline-") == workload.service


@everywhere
def test_every_container_says_what_it_needs_and_may_take(values, workload):
    for container in workload.containers:
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]


@everywhere
def test_every_image_is_ours_and_pinned(values, workload):
    for container in workload.containers:
        assert IMAGE.fullmatch(container["image"]), container["image"]
        assert container["imagePullPolicy"] == "IfNotPresent"


@everywhere
def test_nothing_but_bounded_scratch_is_writable(values, workload):
    """An emptyDir without a limit fills the node."""
    for volume in workload.spec["volumes"]:
        assert "sizeLimit" in volume.get("emptyDir", {"sizeLimit": None}), volume
    volumes = {volume["name"]: volume for volume in workload.spec["volumes"]}
    for container in workload.containers:
        for mount in container["volumeMounts"]:
            assert mount["name"] in volumes, mount
            kept = {("trainer", "models"), ("notifier", "state")}
            writable = "emptyDir" in volumes[mount["name"]] or (workload.service, mount["name"]) in kept
            assert writable or mount["readOnly"] is True, mount


SERVERS = [parameter for parameter in PODS if parameter.values[1].document["kind"] == "Deployment"]


@pytest.mark.parametrize(("values", "workload"), SERVERS)
def test_ready_and_live_are_two_questions(values, workload):
    """One probe for both restarts a service because something else is down."""
    (container,) = workload.spec["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    asked = {name: container[name]["httpGet"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert asked["readinessProbe"]["path"] == "/health/ready"
    assert asked["livenessProbe"]["path"] == asked["startupProbe"]["path"] == "/health/live"
    assert all(probe["port"] in ports for probe in asked.values())


@pytest.mark.parametrize(("values", "workload"), SERVERS)
def test_selectors_find_exactly_their_own_pods(values, workload):
    selector = workload.document["spec"]["selector"]["matchLabels"]
    matched = [
        other.name
        for other in workloads(rendered(values))
        if other.namespace == workload.namespace and selector.items() <= other.labels.items()
    ]
    assert matched == [workload.name]


@pytest.mark.parametrize("values", VALUES)
def test_every_service_budget_and_monitor_finds_the_pods_of_one_deployment(values):
    found = rendered(values)
    deployments = [each for each in workloads(found) if each.document["kind"] == "Deployment"]
    for document in of_kind(found, "Service", "PodDisruptionBudget", "ServiceMonitor"):
        selector = document["spec"]["selector"]
        wanted = selector.get("matchLabels", selector)
        matched = [
            each.document["metadata"]["name"]
            for each in deployments
            if each.namespace == namespace(document) and wanted.items() <= each.labels.items()
        ]
        assert matched == [document["metadata"]["name"]], label(document)
        if document["kind"] == "ServiceMonitor":
            service = one(found, "Service", document["metadata"]["name"])
            assert document["spec"]["endpoints"][0]["port"] in {port["name"] for port in service["spec"]["ports"]}


@pytest.mark.parametrize("values", VALUES)
def test_the_number_of_replicas_has_one_master(values):
    """A Deployment that says its replicas beside an autoscaler is scaled back by every upgrade."""
    found = rendered(values)
    scaled = [
        each["spec"]["scaleTargetRef"]["name"] for each in of_kind(found, "HorizontalPodAutoscaler", "ScaledObject")
    ]
    assert len(scaled) == len(set(scaled))
    for document in of_kind(found, "Deployment"):
        assert ("replicas" in document["spec"]) != (document["metadata"]["name"] in scaled), label(document)


def test_both_ways_to_scale_name_what_they_ask_for():
    (hpa,) = of_kind(rendered("default"), "HorizontalPodAutoscaler")
    assert hpa["spec"]["metrics"][0]["resource"]["name"] == "cpu"
    queries = {
        each["metadata"]["name"]: each["spec"]["triggers"][0]["metadata"]["query"]
        for each in of_kind(rendered("all-on"), "ScaledObject")
    }
    assert queries == {
        "tapeline-producer": 'sum(rate(tapeline_trades_received_total{namespace="tapeline"}[2m]))',
        "inference": 'sum(tapeline_predict_running_requests{namespace="tapeline-inference"})',
    }
    published = (Metrics().render()[0] + metrics.exposition()[0]).decode()
    for query in queries.values():
        assert f"# TYPE {re.search(r'tapeline_[a-z_]+', query)[0]} " in published  # type: ignore[index]


@pytest.mark.parametrize("values", VALUES)
def test_what_may_run_twice_has_a_budget_and_nothing_else_has_one(values):
    """A budget for a single replica blocks every drain, and none lets a drain take all."""
    found = rendered(values)
    budgets = {each["metadata"]["name"] for each in of_kind(found, "PodDisruptionBudget")}
    many = {
        each["spec"]["scaleTargetRef"]["name"]
        for each in of_kind(found, "HorizontalPodAutoscaler", "ScaledObject")
        if (each["spec"].get("maxReplicas") or each["spec"]["maxReplicaCount"]) > 1
    }
    many |= {each["metadata"]["name"] for each in of_kind(found, "Deployment") if each["spec"].get("replicas", 1) > 1}
    assert budgets == (set() if values == "folder" else many)


def test_inference_holds_no_secret_and_is_alone_in_its_namespace():
    for values in VALUES:
        found = rendered(values)
        inside = {
            label(each) for each in found if namespace(each) != NAMESPACE and each["kind"] in ("Secret", "Deployment")
        }
        assert inside == {"Deployment/inference"}
        deployment = str(one(found, "Deployment", "inference"))
        assert "secret" not in deployment.replace("imagePullSecrets", "").lower()


def test_a_new_replica_of_inference_serves_before_an_old_one_goes():
    spec = one(rendered("default"), "Deployment", "inference")["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert spec["minReadySeconds"] > 0
    assert spec["revisionHistoryLimit"] >= 2
    (container,) = spec["template"]["spec"]["containers"]
    pause_s = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert 0 < pause_s < spec["template"]["spec"]["terminationGracePeriodSeconds"]


def test_the_trainer_runs_alone_and_not_for_ever():
    spec = one(rendered("default"), "CronJob", "tapeline-trainer")["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["startingDeadlineSeconds"] > 0
    job = spec["jobTemplate"]["spec"]
    assert (job["backoffLimit"], job["template"]["spec"]["restartPolicy"]) == (1, "Never")
    assert job["activeDeadlineSeconds"] > 0


def test_there_is_never_more_than_one_notifier():
    """Two with one memory would send everything twice."""
    spec = one(rendered("all-on"), "Deployment", "tapeline-notifier")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    (claim,) = [each for each in of_kind(rendered("all-on"), "PersistentVolumeClaim") if "notifier" in label(each)]
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]


def test_a_change_of_settings_restarts_what_reads_them_and_nothing_else():
    before, after = with_settings(), with_settings("apps.producer.settings.top=21")
    changed = {
        workload.name
        for workload, other in zip(workloads(before), workloads(after), strict=True)
        if workload.template != other.template
    }
    assert changed == {"Deployment/tapeline-producer"}

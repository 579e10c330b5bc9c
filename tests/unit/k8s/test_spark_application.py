import re

import yaml
from tapeline_local import paths
from tapeline_local.setup import pins
from tapeline_spark.settings import Settings

from unit.k8s.fields import unknown

ROOT = paths.CHECKOUT
PINS = pins.read(ROOT)
(APPLICATION,) = yaml.safe_load_all((ROOT / "k8s" / "spark-application.yaml").read_text())
SPEC = APPLICATION["spec"]
CONTAINERS = {"driver": "spark-kubernetes-driver", "executor": "spark-kubernetes-executor"}
CHART = (ROOT / "charts" / "apps" / "templates" / "spark" / "configmap.yaml").read_text()
# By which the operator decides about the webhook, or which it only uses there.
WEBHOOK_FIELDS = {
    *(
        "affinity",
        "configMaps",
        "dnsConfig",
        "env",
        "envFrom",
        "envVars",
        "hostAliases",
        "hostNetwork",
        "initContainers",
    ),
    *("lifecycle", "memoryLimit", "nodeSelector", "podSecurityContext", "ports", "priorityClassName", "schedulerName"),
    *("secrets", "securityContext", "shareProcessNamespace", "sidecars", "terminationGracePeriodSeconds"),
    *("tolerations", "volumeMounts", "gpu"),
}
FORBIDDEN = re.compile(
    r"spark\.(master|kubernetes\.driver\.master|kubernetes\.authenticate\..*|"
    r"kubernetes\.(driver\.|executor\.)?container\.image|kubernetes\.namespace)$"
)


def pod(role: str) -> dict:
    return SPEC[role]["template"]["spec"]


def container(role: str) -> dict:
    (only,) = pod(role)["containers"]
    return only


def mounts(role: str) -> dict[str, str]:
    return {mount["name"]: mount["mountPath"] for mount in container(role)["volumeMounts"]}


def test_versions_are_the_pinned_ones():
    assert SPEC["sparkVersion"] == PINS["SPARK_VERSION"]
    assert SPEC["image"] == f"localhost:5001/tapeline/spark:{PINS['TAPELINE_VERSION']}"


def test_every_field_of_the_pod_templates_exists():
    for role in CONTAINERS:
        assert unknown(SPEC[role]["template"], "V1PodTemplateSpec", role) == []


def test_a_misspelt_field_of_a_template_would_be_found():
    wrong = {"spec": {"containers": [{"name": "x", "securityContext": {"readOnlyRootFileSystem": True}}]}}
    assert unknown(wrong, "V1PodTemplateSpec", "t") == ["t.spec.containers[0].securityContext.readOnlyRootFileSystem"]


def test_nothing_depends_on_the_webhook():
    """With a template the operator does not ask for it, and what stands beside would silently be missing."""
    for role, name in CONTAINERS.items():
        assert not WEBHOOK_FIELDS & set(SPEC[role])
        assert container(role)["name"] == name
    assert "volumes" not in SPEC
    assert not FORBIDDEN.search("\n".join(SPEC["sparkConf"]))


def test_both_pods_keep_to_the_restricted_profile_with_a_read_only_root():
    for role in CONTAINERS:
        assert pod(role)["securityContext"]["runAsNonRoot"] is True
        assert pod(role)["securityContext"]["runAsUser"] == 185
        assert pod(role)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container(role)["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert mounts(role)["tmp"] == "/tmp"


def test_only_the_driver_may_talk_to_the_api():
    assert pod("driver")["automountServiceAccountToken"] is True
    assert pod("executor")["automountServiceAccountToken"] is False
    assert SPEC["driver"]["serviceAccount"] == "tapeline-spark"


def test_every_mount_has_its_volume_and_secrets_are_files_of_one_key():
    for role in CONTAINERS:
        volumes = {volume["name"]: volume for volume in pod(role)["volumes"]}
        assert set(mounts(role)) == set(volumes)
        for name, volume in volumes.items():
            if "secret" in volume:
                assert mounts(role)[name] == f"/secrets/{name}"
                assert len(volume["secret"]["items"]) == 1
        assert not [variable for variable in container(role).get("env", []) if "valueFrom" in variable]


def test_settings_come_from_the_charts_config_map_and_fit_what_stands_here():
    for role in CONTAINERS:
        assert container(role)["envFrom"] == [{"configMapRef": {"name": "tapeline-spark"}}]
    settings = dict(re.findall(r"^  (STREAM_\w+): \"?([^\"\n{]+)\"?$", CHART, re.MULTILINE))
    assert settings["STREAM_CHECKPOINT"] == mounts("driver")["checkpoints"] == mounts("executor")["checkpoints"]
    assert [port["containerPort"] for port in container("driver")["ports"]] == [int(settings["STREAM_HEALTH_PORT"])]
    assert settings["STREAM_HEALTH_HOST"] == "0.0.0.0"
    assert f"ENV {settings['STREAM_JARS']}".split()[1] in (ROOT / "spark-apps" / "Dockerfile").read_text()


def test_every_variable_set_here_is_a_setting_of_the_stream():
    fields = {f"STREAM_{name.upper()}" for name in Settings.model_fields}
    for role in CONTAINERS:
        assert {variable["name"] for variable in container(role).get("env", [])} <= fields


def test_the_application_lies_where_the_image_has_it():
    file = SPEC["mainApplicationFile"].removeprefix("local://")
    assert file == "/app/stream.py"
    assert "cp spark-apps/stream.py /own/app/" in (ROOT / "spark-apps" / "Dockerfile").read_text()


def test_it_is_started_again_whatever_ends_it_and_is_never_cleared_away():
    assert SPEC["restartPolicy"]["type"] == "Always"
    assert "timeToLiveSeconds" not in SPEC


def test_the_driver_gets_the_time_that_the_stream_needs_to_end():
    from tapeline_spark.session import _QUERY_OPTIONS

    stop_s = int(_QUERY_OPTIONS["spark.sql.streaming.stopTimeout"].removesuffix("s"))
    assert pod("driver")["terminationGracePeriodSeconds"] >= 2 * stop_s

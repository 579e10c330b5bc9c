"""Who may change the model, how far, and what an install makes of a model that is served already."""

import importlib
import inspect
import os
import re
import subprocess
import sys

import pytest
from tapeline.model.oci_image import Reference

from charts.render import (
    INFERENCE,
    MODEL,
    NAMESPACE,
    PLATFORM,
    RELEASE,
    VALUES,
    helm,
    namespace,
    of_kind,
    one,
    rendered,
    with_settings,
)

POLICY = "tapeline-trainer-model-only"


def model_volume(values: str) -> dict[str, object]:
    spec = one(rendered(values), "Deployment", "inference")["spec"]["template"]["spec"]
    (volume,) = [each for each in spec["volumes"] if each["name"] == "model"]
    return volume


def test_the_model_is_an_image_by_digest():
    assert model_volume("default")["image"] == {"reference": MODEL, "pullPolicy": "IfNotPresent"}
    Reference.parse(MODEL)


def test_where_images_cannot_be_volumes_the_model_is_fetched_by_digest_before_each_start():
    deployment = one(rendered("fetched"), "Deployment", "inference")
    template = deployment["spec"]["template"]
    assert template["metadata"]["annotations"]["tapeline/model-reference"] == MODEL
    (fetch,) = template["spec"]["initContainers"]
    assert fetch["args"][:2] == ["$(MODEL_REFERENCE)", "/models"]
    (variable,) = fetch["env"]
    assert variable["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.annotations['tapeline/model-reference']"
    assert {each["name"]: each.get("readOnly", False) for each in fetch["volumeMounts"]}["model"] is False
    assert "emptyDir" in model_volume("fetched")


def test_the_arguments_of_the_fetch_are_those_it_takes():
    """They are text in a chart; argparse would find out in the cluster."""
    (fetch,) = one(rendered("fetched"), "Deployment", "inference")["spec"]["template"]["spec"]["initContainers"]
    source = inspect.getsource(importlib.import_module(fetch["command"][2]))
    taken = set(re.findall(r'add_argument\("(--[a-z]+)"', source))
    assert {word.partition("=")[0] for word in fetch["args"] if word.startswith("--")} <= taken


def test_a_folder_of_models_is_read_by_one_side_and_written_by_the_other():
    assert model_volume("folder")["persistentVolumeClaim"] == {"claimName": "models", "readOnly": True}
    spec = one(rendered("folder"), "CronJob", "tapeline-trainer")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    claims = [each["persistentVolumeClaim"]["claimName"] for each in spec["volumes"] if "persistentVolumeClaim" in each]
    assert claims == ["models"]


@pytest.mark.parametrize("values", VALUES)
def test_the_trainers_rights_are_four_verbs_in_one_namespace(values):
    found = rendered(values)
    (role,) = [each for each in of_kind(found, "Role") if namespace(each) == INFERENCE]
    assert role["rules"] == [
        {
            "apiGroups": ["apps"],
            "resources": ["deployments"],
            "resourceNames": ["inference"],
            "verbs": ["get", "patch"],
        },
        {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["get", "list"]},
    ]
    bindings = [
        each
        for each in of_kind(found, "RoleBinding", "ClusterRoleBinding")
        if "tapeline-trainer" in str(each["subjects"])
    ]
    (binding,) = bindings
    assert binding["kind"] == "RoleBinding"
    assert (binding["metadata"]["namespace"], binding["roleRef"]["name"]) == (INFERENCE, role["metadata"]["name"])
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "tapeline-trainer", "namespace": NAMESPACE}]
    assert not of_kind(found, "ClusterRole", "ClusterRoleBinding")


def test_the_policy_binds_the_trainers_account_to_the_registry_by_digest():
    found = rendered("all-on")
    policy = one(found, "ValidatingAdmissionPolicy", POLICY)["spec"]
    assert policy["failurePolicy"] == "Fail"
    (condition,) = policy["matchConditions"]
    assert (
        condition["expression"] == f"request.userInfo.username == 'system:serviceaccount:{NAMESPACE}:tapeline-trainer'"
    )
    patterns = set(re.findall(r"matches\(r'(.*?)'\)", str(policy["validations"])))
    (pattern,) = {each.replace("\\\\", "\\") for each in patterns}
    digest = "sha256:" + "0" * 64
    assert re.fullmatch(pattern, f"registry.example/tapeline/models@{digest}")
    for other in (
        f"registryXexample/tapeline/models@{digest}",
        f"registry.example/tapeline/models:new@{digest}",
        f"registry.example/tapeline/other@{digest}",
        f"evil.example/registry.example/tapeline/models@{digest}",
        f"registry.example/tapeline/models@{digest}0",
        "registry.example/tapeline/models:new",
    ):
        assert not re.fullmatch(pattern, other), other
    (binding,) = of_kind(found, "ValidatingAdmissionPolicyBinding")
    assert (binding["spec"]["policyName"], binding["spec"]["validationActions"]) == (POLICY, ["Deny"])


def test_models_lie_at_the_host_of_the_images_where_nothing_else_is_said():
    """A registry with a project in its name is no host, and the trainer takes hosts."""
    found = with_settings(
        "global.imageRegistry=ghcr.example/acme", "apps.registry.push=", "apps.registry.insecure=false"
    )
    config = one(found, "ConfigMap", "tapeline-trainer")["data"]
    assert config["TRAINER_REGISTRY"] == config["TRAINER_REGISTRY_REFERENCE"] == "ghcr.example"
    assert r"^ghcr\\.example/tapeline/models@" in str(one(found, "ValidatingAdmissionPolicy", POLICY)["spec"])


def test_the_policy_goes_with_the_trainer():
    assert not of_kind(rendered("folder"), "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
    assert not of_kind(with_settings("apps.trainer.enabled=false"), "ValidatingAdmissionPolicy", "CronJob")


def test_the_trainer_waits_longer_than_the_deployment_takes_to_give_up():
    """Otherwise it undoes what was about to succeed, or reports its own time-out for the cluster's reason."""
    for values in VALUES:
        found = rendered(values)
        if values == "folder":
            continue
        config = one(found, "ConfigMap", "tapeline-trainer")["data"]
        deployment = one(found, "Deployment", "inference")["spec"]
        assert float(config["TRAINER_ROLLOUT_TIMEOUT_S"]) > deployment["progressDeadlineSeconds"]
        job = one(found, "CronJob", "tapeline-trainer")["spec"]["jobTemplate"]["spec"]
        whole = float(config["TRAINER_ROLLOUT_TIMEOUT_S"]) * 2 + float(config["TRAINER_WATCH_S"])
        assert job["activeDeadlineSeconds"] > whole


def test_helm_test_says_what_answered(tmp_path):
    """The script of the chart, run here against nothing: it must fail, and name what did."""
    script = one(rendered("default"), "ConfigMap", "tapeline-test")["data"]["check.py"]
    path = tmp_path / "check.py"
    path.write_text(script)
    nowhere = "http://127.0.0.1:9"
    env = {"TEST_PATIENCE_S": "0", "TEST_ELASTICSEARCH_URL": nowhere, "TEST_INFERENCE_URL": nowhere}
    done = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, env={**os.environ, **env}, check=False
    )
    assert done.returncode == 1
    assert done.stdout.count("FAIL") == 2
    assert "/health/ready" in done.stdout


def test_notes_say_the_next_commands():
    given = ("kafka.enabled=false", "elastic.enabled=false", f"apps.inference.model.reference={MODEL}")
    result = helm("install", RELEASE, str(PLATFORM), "-n", NAMESPACE, "--dry-run=client", "--set", ",".join(given))
    assert result.code == 0, result.err
    notes = result.out.partition("NOTES:")[2]
    assert "kubectl apply -f k8s/spark-application.yaml" in notes
    assert "helm -n tapeline test tapeline" in notes

"""The Job that loads the dashboards: given what its settings take, with its own user, wherever Kibana is."""

import json

import pytest
from tapeline_dashboards.settings import Settings

from charts.pods import environment, workloads
from charts.render import VALUES, of_kind, one, rendered, template

WITH_KIBANA = [values for values in VALUES if of_kind(rendered(values), "Kibana")]


def job(values: str):
    (found,) = [each for each in workloads(rendered(values)) if each.service == "dashboards"]
    return found


def test_there_is_a_job_exactly_where_there_is_a_kibana():
    assert {"default", "small", "production", "all-on"} <= set(WITH_KIBANA)
    for values in VALUES:
        jobs = [each for each in workloads(rendered(values)) if each.service == "dashboards"]
        assert bool(jobs) is (values in WITH_KIBANA)


@pytest.mark.parametrize("values", WITH_KIBANA)
def test_its_variables_are_settings_that_it_takes(values, monkeypatch):
    given = environment(job(values), rendered(values))
    assert not set(given) - {f"DASHBOARDS_{name}".upper() for name in Settings.model_fields}
    for name, value in given.items():
        monkeypatch.setenv(name, str(value))
    settings = Settings()
    assert settings.kibana_url == "https://tapeline-kb-http.tapeline.svc:5601"
    assert settings.deadline_s < job(values).document["spec"]["activeDeadlineSeconds"]


@pytest.mark.parametrize("values", WITH_KIBANA)
def test_its_files_are_mounted_and_its_user_is_known_to_elasticsearch(values):
    found = rendered(values)
    workload = job(values)
    (container,) = workload.spec["containers"]
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    secrets = {each["name"]: each["secret"] for each in workload.spec["volumes"] if "secret" in each}
    files = {f"{mounts[name]}/{item['path']}" for name, secret in secrets.items() for item in secret["items"]}
    assert {value for name, value in environment(workload, found).items() if name.endswith("_FILE")} == files
    realm = one(found, "Elasticsearch", "tapeline")["spec"]["auth"]["fileRealm"]
    assert {"secretName": secrets["kibana"]["secretName"]} in realm
    assert container["args"] == ["load"]


def test_it_can_be_left_out_with_everything_that_is_only_for_it():
    result = template("--set", "elastic.kibana.dashboards.enabled=false")
    assert result.code == 0, result.err
    assert "kind: Kibana" in result.out
    for trace in ("tapeline/dashboards", "tapeline-es-dashboards", "tapeline-dashboards", "name: dashboards"):
        assert trace not in result.out


def test_kibana_lets_nobody_in_that_no_value_names():
    (policy,) = [
        each for each in of_kind(rendered("default"), "NetworkPolicy") if each["metadata"]["name"] == "tapeline-kibana"
    ]
    (rule,) = policy["spec"]["ingress"]
    assert json.dumps(rule["from"]).count("podSelector") == 1
    assert rule["from"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/name"] == "dashboards"

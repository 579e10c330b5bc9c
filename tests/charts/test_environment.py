"""Every variable that the charts set is a field of that service's settings, and together they are settings it takes."""

import json

import pytest
import yaml
from pydantic_settings import BaseSettings
from tapeline_board.settings import Settings as Board
from tapeline_inference.settings import Settings as Inference
from tapeline_local.cluster.chart_schema import ONLY_ELSEWHERE
from tapeline_notifier import targets
from tapeline_notifier.settings import Settings as Notifier
from tapeline_producer.settings import Settings as Producer
from tapeline_simulator.settings import Settings as Simulator
from tapeline_spark.alerts import rule_config
from tapeline_spark.settings import BootstrapSettings as Bootstrap
from tapeline_spark.settings import Settings as Spark
from tapeline_trainer.settings import Settings as Trainer

from charts.pods import config_map, environment, workloads
from charts.render import CHARTS, NAMESPACE, VALUES, rendered

SETTINGS: dict[str, type[BaseSettings]] = {
    "producer": Producer,
    "inference": Inference,
    "board": Board,
    "notifier": Notifier,
    "trainer": Trainer,
    "simulator": Simulator,
    "bootstrap": Bootstrap,
    "spark": Spark,
}


def environment_of(values: str, service: str) -> dict[str, str]:
    """Return the variables of a service, secrets as any text."""
    found = rendered(values)
    if service == "spark":
        return dict(config_map(found, NAMESPACE, "tapeline-spark")["data"])
    (workload,) = [each for each in workloads(found) if each.service == service]
    return {name: value if value is not None else "user" for name, value in environment(workload, found).items()}


def present() -> list[tuple[str, str]]:
    """Return (values, service) of all that is rendered."""
    cases = [(values, "spark") for values in VALUES]
    for values in VALUES:
        cases += [(values, each.service) for each in workloads(rendered(values)) if each.service in SETTINGS]
    return cases


@pytest.mark.parametrize(("values", "service"), present())
def test_every_variable_is_a_field_of_that_services_settings(values, service):
    """A misspelt variable is no error anywhere: the service runs with its default."""
    prefix = SETTINGS[service].model_config["env_prefix"]
    fields = {f"{prefix}{name}".upper() for name in SETTINGS[service].model_fields}
    assert not set(environment_of(values, service)) - fields


@pytest.mark.parametrize(("values", "service"), present())
def test_the_variables_together_are_settings_that_the_service_takes(values, service, monkeypatch):
    for name, value in environment_of(values, service).items():
        monkeypatch.setenv(name, value)
    SETTINGS[service]()


def test_large_numbers_and_lists_arrive_as_they_were_written(monkeypatch):
    """YAML turns two million into 2e+06, which no integer field takes."""
    for service in ("producer", "trainer", "spark"):
        for name, value in environment_of("all-on", service).items():
            monkeypatch.setenv(name, value)
    producer, trainer, spark = Producer(), Trainer(), Spark()  # type: ignore[call-arg]
    assert (producer.buffer_trades, producer.backfill_timeout_s) == (2_000_000, 2.5)
    assert producer.symbols == ("BTCUSDT", "ETHUSDT")
    assert (trainer.maximum_trades, spark.max_records_per_batch) == (10_000_000, 1_000_000)


@pytest.mark.parametrize("service", SETTINGS)
def test_every_setting_that_the_chart_does_not_make_can_be_set_and_no_other(service):
    """Who adds a field runs `make chart-schema`, or sets the field in a template of the chart."""
    schema = json.loads((CHARTS / "apps" / "values.schema.json").read_text())
    offered = set(schema["properties"][service]["properties"]["settings"]["properties"])
    fields = set(SETTINGS[service].model_fields)
    made = {values: made_by_chart(values, service) for values in VALUES if (values, service) in present()}
    assert offered <= fields
    assert not offered & made.get("default", set()), "the chart makes these itself"
    assert fields == offered.union(*made.values()) | ONLY_ELSEWHERE.get(service, set())


def made_by_chart(values: str, service: str) -> set[str]:
    """Return the fields that a service is given and no values file names."""
    prefix = SETTINGS[service].model_config["env_prefix"]
    made = {name.removeprefix(prefix).lower() for name in environment_of(values, service)}
    for path in (CHARTS / "apps" / "values.yaml", *VALUES[values]):
        content = yaml.safe_load(path.read_text())
        apps = content if path.parent.name == "apps" else content.get("apps", {})
        made -= set(apps.get(service, {}).get("settings", {}))
    return made


def test_users_come_from_the_secrets_that_are_mounted():
    """A user of one Secret with the password of another is refused by the server, at three in the morning."""
    found = rendered("default")
    names = {"producer": "tapeline-producer"}
    names |= {name: f"tapeline-es-{name}" for name in ("trainer", "board", "bootstrap")}
    for workload in workloads(found):
        if workload.service not in names:
            continue
        users = {value for name, value in environment(workload, found).items() if name.endswith("USERNAME")}
        passwords = {
            volume["secret"]["secretName"]
            for volume in workload.spec["volumes"]
            if volume["name"] in ("kafka", "elasticsearch")
        }
        assert users == passwords == {names[workload.service]}


@pytest.mark.parametrize(("values", "service"), [case for case in present() if case[1] != "spark"])
def test_every_file_that_a_variable_names_is_mounted(values, service):
    found = rendered(values)
    (workload,) = [each for each in workloads(found) if each.service == service]
    (container,) = workload.spec["containers"]
    volumes = {volume["name"]: volume for volume in workload.spec["volumes"]}
    files = set()
    for mount in container["volumeMounts"]:
        volume = volumes[mount["name"]]
        items = volume.get("secret", volume.get("configMap", {})).get("items", [])
        files |= {f"{mount['mountPath']}/{item['path']}" for item in items}
    wanted = {value for name, value in environment(workload, found).items() if name.endswith("_FILE")}
    assert wanted <= files


def test_the_targets_are_a_file_that_the_notifier_takes_and_its_secrets_are_mounted(tmp_path):
    found = rendered("all-on")
    (workload,) = [each for each in workloads(found) if each.service == "notifier"]
    (text,) = config_map(found, NAMESPACE, "tapeline-notifier-targets")["data"].values()
    (tmp_path / "targets.yaml").write_text(text)
    phone, hook = targets.load(tmp_path / "targets.yaml")
    mounts = {each["name"]: each["mountPath"] for each in workload.spec["containers"][0]["volumeMounts"]}
    files = {
        f"{mounts[volume['name']]}/{item['path']}"
        for volume in workload.spec["volumes"]
        for item in volume.get("secret", volume.get("configMap", {})).get("items", [])
    }
    assert {str(phone.token_file), str(hook.url_file), str(hook.key_file)} <= files
    assert {environment(workload, found)["NOTIFIER_TARGETS"]} <= files
    assert environment(workload, found)["NOTIFIER_STATE"] == mounts["state"]


def test_rules_of_ones_own_are_rules_that_the_stream_takes_where_its_pods_find_them(tmp_path):
    (text,) = config_map(rendered("all-on"), NAMESPACE, "tapeline-rules")["data"].values()
    (tmp_path / "rules.yaml").write_text(text)
    assert [rule.name for rule in rule_config.load(tmp_path / "rules.yaml").rules] == ["move"]
    (application,) = yaml.safe_load_all((CHARTS.parent / "k8s" / "spark-application.yaml").read_text())
    pod = application["spec"]["driver"]["template"]["spec"]
    (mount,) = [each for each in pod["containers"][0]["volumeMounts"] if each["name"] == "rules"]
    assert environment_of("all-on", "spark")["STREAM_RULES"] == f"{mount['mountPath']}/rules.yaml"
    assert "STREAM_RULES" not in environment_of("default", "spark")
    (volume,) = [each for each in pod["volumes"] if each["name"] == "rules"]
    assert volume["configMap"] == {"name": "tapeline-rules", "optional": True}

"""Values: strict schemas, the same shared part everywhere, and versions as pinned."""

import json
import re
from typing import Any

import pytest
import yaml
from tapeline_local import paths
from tapeline_local.setup import pins

from charts.render import CHARTS, PLATFORM, VALUES, helm, template

PARTS = ("kafka", "elastic", "apps")
PINS = pins.read(paths.CHECKOUT)


def schema(chart: str) -> dict[str, Any]:
    return json.loads((CHARTS / chart / "values.schema.json").read_text())


def values(chart: str) -> dict[str, Any]:
    return yaml.safe_load((CHARTS / chart / "values.yaml").read_text())


@pytest.mark.parametrize("chart", ["tapeline", *PARTS])
def test_charts_are_what_helm_calls_well_formed(chart):
    result = helm("lint", "--strict", "--quiet", str(CHARTS / chart))
    assert result.code == 0, result.out + result.err


MISSPELT = {
    "kafka": (
        "replicatoin.factor=3",
        "topics.trades.partition=3",
        "nodePools[0].replica=3",
        "global.kafka.boostrap=x:1",
    ),
    "elastic": ("kibana.enable=false", "nodeSets[0].zoneaware=true", "user.create=false"),
    "apps": (
        *(
            "producer.replica=3",
            "producer.settings.topp=3",
            "inference.model.deliver=volume",
            "inferense.enabled=false",
        ),
        *("trainer.resources.limits.mem=1Gi", "registry.pul=x", "global.networkPolicies.enable=false"),
    ),
    "tapeline": (
        "kafka.replicatoin.factor=3",
        "elastic.kibana.enable=false",
        "apps.producer.replica=3",
        "global.imagetag=1",
    ),
}


@pytest.mark.parametrize(("chart", "value"), [(chart, value) for chart, all_ in MISSPELT.items() for value in all_])
def test_a_misspelt_value_in_any_chart_is_refused(chart, value):
    result = template("--set", value, chart=CHARTS / chart)
    assert result.code != 0
    assert "additional properties" in result.err, result.err


WRONG = {
    "global.imageTag=latest": "/global/imageTag",
    "apps.producer.image.tag=latest": "/producer/image/tag",
    "apps.inference.model.reference=localhost:5001/tapeline/models:new": "does not match pattern",
    "apps.producer.autoscaling.kind=both": "must be one of",
    "kafka.nodePools[0].roles[0]=zookeeper": "must be one of",
    "global.elasticsearch.url=https://elastic:secret@host:9200": "does not match pattern",
    "apps.trainer.resources.limits.memory=3Gb": "does not match pattern",
    "apps.producer.settings.top=many": "got string, want integer",
    "apps.producer.settings.top=0": "minimum: got 0, want 1",
    "apps.producer.settings.top=2.5": "want integer",
    "apps.producer.settings.exchange=binance": "must be one of 'bybit', 'simulator'",
    "apps.producer.settings.market_types=futures": "does not match pattern",
    "apps.board.settings.docs=7": "got number, want boolean",
    "apps.spark.settings.queries=none": "must be one of 'both', 'trades', 'candles'",
    "apps.spark.settings.hold_s=null_s": "got string, want number",
    "apps.trainer.settings.test_share=1": "exclusiveMaximum",
}


@pytest.mark.parametrize(("value", "reason"), WRONG.items())
def test_a_value_that_cannot_work_is_refused(value, reason):
    result = template("--set", value)
    assert result.code != 0
    assert reason in result.err, result.err


def open_objects(part: Any, place: str = "") -> list[str]:
    """Return where a schema takes names that nobody wrote down, maps from names to text left aside."""
    if isinstance(part, list):
        return [found for number, each in enumerate(part) for found in open_objects(each, f"{place}/{number}")]
    if not isinstance(part, dict):
        return []
    below = [found for name, each in part.items() for found in open_objects(each, f"{place}/{name}")]
    closed = part.get("additionalProperties") is False or part.get("additionalProperties") == {"type": "string"}
    return below + ([place] if part.get("type") == "object" and not closed else [])


@pytest.mark.parametrize("chart", PARTS)
def test_no_part_of_a_schema_takes_unknown_names(chart):
    assert open_objects(schema(chart)) == []


def test_the_platform_leaves_only_the_charts_values_to_the_charts():
    assert open_objects(schema("tapeline")) == [f"/properties/{part}" for part in PARTS]


@pytest.mark.parametrize("chart", PARTS)
def test_the_shared_values_are_the_same_in_every_chart(chart):
    """Otherwise a chart installed alone is another one than the chart in the whole."""
    assert values(chart)["global"] == values("tapeline")["global"]
    ours, theirs = schema(chart)["$defs"], schema("tapeline")["$defs"]
    assert ours["global"] == theirs["global"]
    assert all(ours[name] == theirs[name] for name in ours.keys() & theirs.keys())


@pytest.mark.parametrize("chart", PARTS)
def test_every_value_has_a_place_in_the_schema_and_every_place_a_default(chart):
    """Settings and node selectors are the reader's to fill."""
    defaults, free = values(chart), {"settings", "labels", "nodeSelector", "except"}

    def compare(given: Any, wanted: dict[str, Any], place: str) -> None:
        while "$ref" in wanted:
            wanted = schema(chart)["$defs"][wanted["$ref"].rpartition("/")[2]]
        if isinstance(given, dict) and place.rpartition(".")[2] not in free:
            known = set(wanted["properties"]) - free - ({"cpu", "memory"} if "limits" in place else set())
            assert known <= set(given), place
            for name, value in given.items():
                compare(value, wanted["properties"][name], f"{place}.{name}")

    compare(defaults, schema(chart), chart)


@pytest.mark.parametrize("chart", ["tapeline", *PARTS])
def test_versions_are_the_pinned_ones(chart):
    about = yaml.safe_load((CHARTS / chart / "Chart.yaml").read_text())
    wanted = PINS["TAPELINE_VERSION"]
    assert about["version"] == about["appVersion"] == wanted
    assert {each["version"] for each in about.get("dependencies", [])} <= {wanted}
    assert values(chart)["global"]["imageTag"] == wanted


def test_servers_are_of_the_versions_that_the_local_stack_is_tested_with():
    kafka = values("kafka")
    assert kafka["version"] == PINS["KAFKA_VERSION"]
    assert kafka["metadataVersion"].partition("-")[0] == kafka["version"].rpartition(".")[0]
    assert values("elastic")["version"] == PINS["ELASTICSEARCH_VERSION"]


def test_our_helm_is_the_pinned_one():
    result = helm("version", "--template", "{{.Version}}")
    assert result.out == f"v{PINS['HELM_VERSION']}"


def test_the_platform_needs_no_step_before_it_is_installed_or_packed(tmp_path):
    """Links in place of archives: what is in the checkout is what is installed."""
    for part in PARTS:
        link = PLATFORM / "charts" / part
        assert link.is_symlink()
        assert link.resolve() == CHARTS / part
    assert helm("package", str(PLATFORM), "--destination", str(tmp_path)).code == 0
    (packed,) = tmp_path.glob("*.tgz")
    assert template(chart=packed).code != 0, "the model's value has another name there"
    result = template(
        "--set", f"apps.inference.model.reference=r.example/m@sha256:{'b' * 64}", chart=packed, model=None
    )
    assert result.code == 0, result.err


@pytest.mark.parametrize("part", PARTS)
def test_every_chart_can_be_installed_alone(part):
    result = template(chart=CHARTS / part)
    assert result.code == 0, result.err
    assert re.search(r"^kind: ", result.out, re.MULTILINE)


def test_every_values_file_is_rendered_by_these_tests():
    files = {path for group in VALUES.values() for path in group}
    assert {*PLATFORM.glob("values-*.yaml")} <= files

"""Saved objects: deterministic, referenced objects first, in versions that Kibana reads."""

import json

from tapeline_dashboards import objects, reader
from tapeline_dashboards.views import VIEWS

from unit.dashboards import factories


def test_the_same_sources_give_the_same_bytes():
    assert objects.ndjson(objects.compile_dashboards(reader.read_dashboards())) == objects.ndjson(
        objects.compile_dashboards(reader.read_dashboards())
    )


def test_referenced_objects_come_first():
    """Kibana resolves references while it imports."""
    seen: set[tuple[str, str]] = set()
    for each in factories.compiled():
        needed = {(r["type"], r["id"]) for r in each["references"]} - {("dashboard", "tapeline-symbol")}
        assert needed <= seen
        seen.add((each["type"], each["id"]))


def test_every_object_has_its_migration_version():
    """Without it Kibana responds 500 without a reason."""
    versions = {each["type"]: each["typeMigrationVersion"] for each in factories.compiled()}
    assert versions == {
        **{"index-pattern": "8.0.0", "visualization": "8.5.0"},
        **{"search": "8.0.0", "dashboard": "10.2.0"},
    }
    assert {each["coreMigrationVersion"] for each in factories.compiled()} == {"8.8.0"}


def test_every_line_is_one_object():
    lines = objects.ndjson(objects.compile_dashboards(reader.read_dashboards())).split("\n")
    assert lines.pop() == ""
    assert len(lines) == 18
    assert all(json.loads(line)["id"].startswith("tapeline-") for line in lines)


def test_there_is_a_data_view_for_every_view_and_its_indices():
    views = {e["id"]: e["attributes"] for e in factories.compiled() if e["type"] == "index-pattern"}
    assert {each["title"] for each in views.values()} == {view.pattern for view in VIEWS.values()}
    assert {each["timeFieldName"] for each in views.values()} == {"@timestamp"}
    # A runtime field would be many times slower than a stored number.
    assert {each["runtimeFieldMap"] for each in views.values()} == {"{}"}


def test_the_market_can_be_chosen_by_symbol_kind_side_prediction_and_state():
    board = factories.one(factories.compiled(), "tapeline-market")
    controls = json.loads(board["attributes"]["controlGroupInput"]["panelsJSON"])
    ordered = sorted(controls.values(), key=lambda each: each["order"])
    fields = [each["explicitInput"]["fieldName"] for each in ordered]
    assert fields == ["symbol", "venue", "market_type", "side", "prediction", "prediction_state"]
    assert all(not each["explicitInput"]["selectedOptions"] for each in ordered)


def test_a_drilldown_passes_the_clicked_value_and_the_time_range():
    with factories.panels(factories.one(factories.compiled(), "tapeline-market")) as panels:
        (event,) = panels["most-active"]["embeddableConfig"]["enhancements"]["dynamicActions"]["events"]
    assert event["triggers"] == ["FILTER_TRIGGER"]
    assert event["action"]["config"] == {"useCurrentFilters": False, "useCurrentDateRange": True, "openInNewTab": False}


def test_vega_panels_and_lists_are_separate_objects():
    saved = factories.compiled()
    state = json.loads(factories.one(saved, "tapeline-candles", "visualization")["attributes"]["visState"])
    assert state["type"] == "vega"
    assert json.loads(state["params"]["spec"]) == reader.vega_spec("candles")
    listed = factories.one(saved, "tapeline-reconciliation-gaps", "search")
    source = json.loads(listed["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
    assert source["indexRefName"] == listed["references"][0]["name"]
    assert listed["references"][0]["id"] == "tapeline-gaps"


def test_markdown_links_only_to_existing_dashboards():
    with factories.panels(factories.one(factories.compiled(), "tapeline-market")) as panels:
        text = panels["about"]["embeddableConfig"]["savedVis"]["params"]["markdown"]
    ids = {each["id"] for each in factories.compiled() if each["type"] == "dashboard"} - {"tapeline-market"}
    assert {f"#/view/{identity}" for identity in ids} == {part.split(")")[0] for part in text.split("](")[1:]}

"""Saved objects: always the same, in the order of their needs, in the versions that Kibana reads."""

import json

from tapeline_dashboards import objects, reader
from tapeline_dashboards.views import VIEWS

from unit.dashboards import made


def test_the_same_sources_give_the_same_bytes():
    assert objects.ndjson(objects.compiled(reader.dashboards())) == objects.ndjson(
        objects.compiled(reader.dashboards())
    )


def test_what_is_referred_to_comes_first():
    """Kibana looks for a data view when it takes what uses it."""
    seen: set[tuple[str, str]] = set()
    for each in made.compiled():
        needed = {(r["type"], r["id"]) for r in each["references"]} - {("dashboard", "tapeline-symbol")}
        assert needed <= seen
        seen.add((each["type"], each["id"]))


def test_every_object_says_in_which_version_it_is_written():
    """Without one Kibana answers 500, and says nothing of why."""
    versions = {each["type"]: each["typeMigrationVersion"] for each in made.compiled()}
    assert versions == {
        **{"index-pattern": "8.0.0", "visualization": "8.5.0"},
        **{"search": "8.0.0", "dashboard": "10.2.0"},
    }
    assert {each["coreMigrationVersion"] for each in made.compiled()} == {"8.8.0"}


def test_every_line_is_one_object():
    lines = objects.ndjson(objects.compiled(reader.dashboards())).split("\n")
    assert lines.pop() == ""
    assert len(lines) == 18
    assert all(json.loads(line)["id"].startswith("tapeline-") for line in lines)


def test_there_is_a_data_view_for_every_view_and_its_indices():
    views = {e["id"]: e["attributes"] for e in made.compiled() if e["type"] == "index-pattern"}
    assert {each["title"] for each in views.values()} == {view.pattern for view in VIEWS.values()}
    assert {each["timeFieldName"] for each in views.values()} == {"@timestamp"}
    # A script for every trade in view would be many times slower than a stored number.
    assert {each["runtimeFieldMap"] for each in views.values()} == {"{}"}


def test_the_market_can_be_chosen_by_symbol_kind_side_prediction_and_state():
    board = made.one(made.compiled(), "tapeline-market")
    controls = json.loads(board["attributes"]["controlGroupInput"]["panelsJSON"])
    ordered = sorted(controls.values(), key=lambda each: each["order"])
    fields = [each["explicitInput"]["fieldName"] for each in ordered]
    assert fields == ["symbol", "market_type", "side", "prediction", "prediction_state"]
    assert all(not each["explicitInput"]["selectedOptions"] for each in ordered)


def test_a_click_carries_what_was_clicked_and_the_time():
    with made.panels(made.one(made.compiled(), "tapeline-market")) as panels:
        (event,) = panels["most-active"]["embeddableConfig"]["enhancements"]["dynamicActions"]["events"]
    assert event["triggers"] == ["FILTER_TRIGGER"]
    assert event["action"]["config"] == {"useCurrentFilters": False, "useCurrentDateRange": True, "openInNewTab": False}


def test_drawings_and_lists_are_objects_of_their_own():
    made_now = made.compiled()
    state = json.loads(made.one(made_now, "tapeline-candles", "visualization")["attributes"]["visState"])
    assert state["type"] == "vega"
    assert json.loads(state["params"]["spec"]) == reader.drawing("candles")
    listed = made.one(made_now, "tapeline-reconciliation-holes", "search")
    source = json.loads(listed["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
    assert source["indexRefName"] == listed["references"][0]["name"]
    assert listed["references"][0]["id"] == "tapeline-gaps"


def test_words_lead_only_to_dashboards_that_are_there():
    with made.panels(made.one(made.compiled(), "tapeline-market")) as panels:
        text = panels["about"]["embeddableConfig"]["savedVis"]["params"]["markdown"]
    ids = {each["id"] for each in made.compiled() if each["type"] == "dashboard"} - {"tapeline-market"}
    assert {f"#/view/{identity}" for identity in ids} == {part.split(")")[0] for part in text.split("](")[1:]}

"""Every rule finds a planted violation, and none in our dashboards."""

import json

import pytest
from tapeline_dashboards import rules

from unit.dashboards import factories

MARKET = "tapeline-market"


@pytest.fixture
def objects():
    return factories.compiled()


@pytest.fixture
def market(objects):
    return factories.one(objects, MARKET)


def test_our_dashboards_break_no_rule(objects):
    assert factories.findings(objects) == []


def test_a_field_that_is_not_in_the_mapping_is_found(objects, market):
    with factories.panels(market) as panels:
        factories.layer_of(panels["price"])["columns"]["value-0"]["sourceField"] = "prize"
    assert factories.findings(objects) == [
        "dashboard tapeline-market, panel price: trades has no prize (a field is in the mapping and aggregatable)"
    ]


def test_a_reference_that_is_missing_is_found(objects, market):
    market["references"] = [each for each in market["references"] if not each["name"].startswith("price:index")]
    assert factories.findings(objects) == [
        "dashboard tapeline-market, panel price: indexpattern-datasource-layer-shown is missing "
        "(a dashboard has the references of its panels)"
    ]


def test_panels_that_overlap_are_found(objects, market):
    with factories.panels(market) as panels:
        panels["sides"]["gridData"]["y"] -= 1
    assert factories.findings(objects) == [
        "dashboard tapeline-market, panel price: it overlaps sides (panels do not overlap)"
    ]


def test_a_missing_object_is_found(objects):
    left = [each for each in objects if each["id"] != "tapeline-symbol"]
    found = factories.findings(left)
    assert len(found) == 8
    assert all("referenced objects exist" in each and "dashboard tapeline-symbol" in each for each in found)


def test_a_missing_vega_visualization_is_found(objects):
    left = [each for each in objects if (each["type"], each["id"]) != ("visualization", "tapeline-candles")]
    (found,) = factories.findings(left)
    assert "candles:panel_candles is visualization tapeline-candles" in found


def test_two_objects_of_one_id_are_found(objects):
    assert any("object ids are unique" in each for each in factories.findings([*objects, objects[0]]))


def test_json_that_cannot_be_read_is_found_before_anything_else(objects, market):
    market["attributes"]["panelsJSON"] = market["attributes"]["panelsJSON"][:-1]
    (found,) = rules.check(objects)
    assert (found.where, found.rule) == ("dashboard tapeline-market", "embedded JSON is valid")


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"i": "other"}, "panelIndex equals gridData.i"),
        ({"w": 49}, "a panel lies within 48 columns"),
        ({"h": 0}, "a panel lies within 48 columns"),
        ({"x": -1}, "a panel lies within 48 columns"),
    ],
)
def test_an_invalid_grid_position_is_found(change, rule, objects, market):
    with factories.panels(market) as panels:
        panels["price"]["gridData"] |= change
    assert any(rule in each and "panel price" in each for each in factories.findings(objects))


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda layer: layer["columnOrder"].pop(), "columnOrder lists every column once"),
        (lambda layer: layer["columnOrder"].reverse(), "buckets precede metrics"),
        (
            lambda layer: layer["columns"]["bucket-0"]["params"]["orderBy"].update(
                {"type": "column", "columnId": "no"}
            ),
            "buckets are ordered by a plain metric",
        ),
    ],
)
def test_inconsistent_columns_are_found(change, rule, objects, market):
    with factories.panels(market) as panels:
        change(factories.layer_of(panels["price"]))
    (found,) = factories.findings(objects)
    assert rule in found
    assert "panel price" in found


@pytest.mark.parametrize(
    ("panel", "change", "rule"),
    [
        ("price", lambda v: v["layers"][0].update({"accessors": ["nothing"]}), "a visualization uses existing columns"),
        ("price", lambda v: v["layers"][0].pop("splitAccessor"), "the visualization uses every column"),
        ("trades", lambda v: v.update({"metricAccessor": "nothing"}), "a visualization uses existing columns"),
        (
            "trades-by-side",
            lambda v: v["layers"][0].update({"primaryGroups": []}),
            "the visualization uses every column",
        ),
        ("size-by-prediction", lambda v: v["columns"].pop(), "the visualization uses every column"),
    ],
)
def test_charts_that_do_not_use_their_columns_are_found(panel, change, rule, objects, market):
    with factories.panels(market) as panels:
        change(panels[panel]["embeddableConfig"]["attributes"]["state"]["visualization"])
    found = factories.findings(objects)
    assert any(rule in each and f"panel {panel}" in each for each in found)


def test_a_formula_without_its_parts_is_found(objects, market):
    with factories.panels(market) as panels:
        layer = factories.layer_of(panels["predicted"])
        del layer["columns"]["value-0X0"]
        layer["columnOrder"].remove("value-0X0")
    assert any("the operands of a formula are columns" in each for each in factories.findings(objects))


def test_a_layer_without_its_data_view_is_found(objects, market):
    with factories.panels(market) as panels:
        panels["price"]["embeddableConfig"]["attributes"]["references"][0]["name"] = "other"
    assert any("a layer references its data view" in each for each in factories.findings(objects))


def test_a_drilldown_without_reference_is_found(objects, market):
    market["references"] = [each for each in market["references"] if not each["name"].startswith("price:drilldown")]
    (found,) = factories.findings(objects)
    assert (
        "panel price: drilldown:DASHBOARD_TO_DASHBOARD_DRILLDOWN:open-tapeline-symbol:dashboardId is missing" in found
    )


def test_a_control_without_its_data_view_is_found(objects, market):
    market["references"] = [each for each in market["references"] if "controlGroup_side:" not in each["name"]]
    (found,) = factories.findings(objects)
    assert "control side" in found


def test_a_duplicate_reference_name_is_found(objects, market):
    market["references"].append(dict(market["references"][0]))
    (found,) = factories.findings(objects)
    assert "reference names are unique" in found


def test_a_time_that_is_no_date_is_found(objects, market):
    with factories.panels(market) as panels:
        factories.layer_of(panels["price"])["columns"]["bucket-1"]["sourceField"] = "symbol"
    (found,) = factories.findings(objects)
    assert "panel price: symbol is a keyword (a date histogram needs a date field)" in found


def test_a_panel_with_an_unknown_data_view_is_found(objects, market):
    with factories.panels(market) as panels:
        panels["price"]["embeddableConfig"]["attributes"]["references"][0]["id"] = "logs"
    (found,) = factories.findings(objects)
    assert "panel price: it was logs (a panel uses one of our data views)" in found


def test_a_control_or_a_list_of_a_field_that_is_not_there_is_found(objects, market):
    controls = json.loads(market["attributes"]["controlGroupInput"]["panelsJSON"])
    controls["side"]["explicitInput"]["fieldName"] = "sides"
    market["attributes"]["controlGroupInput"]["panelsJSON"] = json.dumps(controls)
    factories.one(objects, "tapeline-reconciliation-gaps", "search")["attributes"]["columns"].append("why")
    assert sorted(factories.findings(objects)) == [
        "dashboard tapeline-market, control side: there is no sides (a field is in the mapping)",
        "search tapeline-reconciliation-gaps: gaps has no why (a field is in the mapping)",
    ]


def test_the_field_of_an_order_is_checked(objects):
    with factories.panels(factories.one(objects, "tapeline-symbol")) as panels:
        factories.layer_of(panels["returns"])["columns"]["bucket-0"]["params"]["orderAgg"]["sourceField"] = "trade"
    (found,) = factories.findings(objects)
    assert "candles has no trade" in found


def test_refresh_and_time_are_stored(objects):
    boards = [each["attributes"] for each in objects if each["type"] == "dashboard"]
    assert len(boards) == 4
    for board in boards:
        assert board["refreshInterval"] == {"pause": False, "value": 5000}
        assert (board["timeRestore"], board["timeTo"]) == (True, "now")
        assert board["timeFrom"].startswith("now-")
        assert json.loads(board["optionsJSON"])["hidePanelTitles"] is False

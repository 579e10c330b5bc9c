"""Every rule: it finds what was planted, and nothing in what is ours."""

import json

import pytest
from tapeline_dashboards import rules

from unit.dashboards import made

MARKET = "tapeline-market"


@pytest.fixture
def objects():
    return made.compiled()


@pytest.fixture
def market(objects):
    return made.one(objects, MARKET)


def test_our_dashboards_break_no_rule(objects):
    assert made.findings(objects) == []


def test_a_field_that_is_not_in_the_mapping_is_found(objects, market):
    with made.panels(market) as panels:
        made.layer_of(panels["price"])["columns"]["value-0"]["sourceField"] = "prize"
    assert made.findings(objects) == [
        "dashboard tapeline-market, panel price: trades has no prize (a field is in the mapping and can be worked with)"
    ]


def test_a_reference_that_is_missing_is_found(objects, market):
    market["references"] = [each for each in market["references"] if not each["name"].startswith("price:index")]
    assert made.findings(objects) == [
        "dashboard tapeline-market, panel price: indexpattern-datasource-layer-shown is missing "
        "(a panel's references stand in its dashboard)"
    ]


def test_panels_that_overlap_are_found(objects, market):
    with made.panels(market) as panels:
        panels["sides"]["gridData"]["y"] -= 1
    assert made.findings(objects) == [
        "dashboard tapeline-market, panel price: it overlaps sides (panels do not overlap)"
    ]


def test_an_object_that_is_not_in_the_file_is_found(objects):
    left = [each for each in objects if each["id"] != "tapeline-symbol"]
    found = made.findings(left)
    assert len(found) == 8
    assert all("what is referred to is there" in each and "dashboard tapeline-symbol" in each for each in found)


def test_a_drawing_that_is_not_in_the_file_is_found(objects):
    left = [each for each in objects if (each["type"], each["id"]) != ("visualization", "tapeline-candles")]
    (found,) = made.findings(left)
    assert "candles:panel_candles is visualization tapeline-candles" in found


def test_two_objects_of_one_id_are_found(objects):
    assert any("one object an id" in each for each in made.findings([*objects, objects[0]]))


def test_json_that_cannot_be_read_is_found_before_anything_else(objects, market):
    market["attributes"]["panelsJSON"] = market["attributes"]["panelsJSON"][:-1]
    (found,) = rules.check(objects)
    assert (found.where, found.rule) == ("dashboard tapeline-market", "what is JSON in a text can be read")


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"i": "other"}, "a panel and its place have one id"),
        ({"w": 49}, "a panel lies within 48 columns"),
        ({"h": 0}, "a panel lies within 48 columns"),
        ({"x": -1}, "a panel lies within 48 columns"),
    ],
)
def test_a_place_that_cannot_be_is_found(change, rule, objects, market):
    with made.panels(market) as panels:
        panels["price"]["gridData"] |= change
    assert any(rule in each and "panel price" in each for each in made.findings(objects))


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda layer: layer["columnOrder"].pop(), "the order names every column once"),
        (lambda layer: layer["columnOrder"].reverse(), "buckets stand before numbers"),
        (
            lambda layer: layer["columns"]["bucket-0"]["params"]["orderBy"].update(
                {"type": "column", "columnId": "no"}
            ),
            "buckets are ordered by a plain number",
        ),
    ],
)
def test_columns_that_do_not_fit_each_other_are_found(change, rule, objects, market):
    with made.panels(market) as panels:
        change(made.layer_of(panels["price"]))
    (found,) = made.findings(objects)
    assert rule in found
    assert "panel price" in found


@pytest.mark.parametrize(
    ("panel", "change", "rule"),
    [
        ("price", lambda v: v["layers"][0].update({"accessors": ["nothing"]}), "what is drawn is a column"),
        ("price", lambda v: v["layers"][0].pop("splitAccessor"), "every column is drawn"),
        ("trades", lambda v: v.update({"metricAccessor": "nothing"}), "what is drawn is a column"),
        ("long-and-short", lambda v: v["layers"][0].update({"primaryGroups": []}), "every column is drawn"),
        ("volume-by-prediction", lambda v: v["columns"].pop(), "every column is drawn"),
    ],
)
def test_charts_that_do_not_draw_their_columns_are_found(panel, change, rule, objects, market):
    with made.panels(market) as panels:
        change(panels[panel]["embeddableConfig"]["attributes"]["state"]["visualization"])
    found = made.findings(objects)
    assert any(rule in each and f"panel {panel}" in each for each in found)


def test_a_formula_without_its_parts_is_found(objects, market):
    with made.panels(market) as panels:
        layer = made.layer_of(panels["predicted"])
        del layer["columns"]["value-0X0"]
        layer["columnOrder"].remove("value-0X0")
    assert any("a formula's parts are columns" in each for each in made.findings(objects))


def test_a_layer_without_its_data_view_is_found(objects, market):
    with made.panels(market) as panels:
        panels["price"]["embeddableConfig"]["attributes"]["references"][0]["name"] = "other"
    assert any("a layer refers to its data view" in each for each in made.findings(objects))


def test_a_click_whose_target_is_not_referred_to_is_found(objects, market):
    market["references"] = [each for each in market["references"] if not each["name"].startswith("price:drilldown")]
    (found,) = made.findings(objects)
    assert (
        "panel price: drilldown:DASHBOARD_TO_DASHBOARD_DRILLDOWN:open-tapeline-symbol:dashboardId is missing" in found
    )


def test_a_control_without_its_data_view_is_found(objects, market):
    market["references"] = [each for each in market["references"] if "controlGroup_side:" not in each["name"]]
    (found,) = made.findings(objects)
    assert "control side" in found


def test_what_a_reference_is_called_twice_is_found(objects, market):
    market["references"].append(dict(market["references"][0]))
    (found,) = made.findings(objects)
    assert "a reference has a name of its own" in found


def test_a_time_that_is_no_date_is_found(objects, market):
    with made.panels(market) as panels:
        made.layer_of(panels["price"])["columns"]["bucket-1"]["sourceField"] = "symbol"
    (found,) = made.findings(objects)
    assert "panel price: symbol is a keyword (time is a date)" in found


def test_a_panel_of_indices_that_are_not_ours_is_found(objects, market):
    with made.panels(market) as panels:
        panels["price"]["embeddableConfig"]["attributes"]["references"][0]["id"] = "logs"
    (found,) = made.findings(objects)
    assert "panel price: it was logs (a panel shows one of our views)" in found


def test_a_control_or_a_list_of_a_field_that_is_not_there_is_found(objects, market):
    controls = json.loads(market["attributes"]["controlGroupInput"]["panelsJSON"])
    controls["side"]["explicitInput"]["fieldName"] = "sides"
    market["attributes"]["controlGroupInput"]["panelsJSON"] = json.dumps(controls)
    made.one(objects, "tapeline-reconciliation-holes", "search")["attributes"]["columns"].append("why")
    assert sorted(made.findings(objects)) == [
        "dashboard tapeline-market, control side: there is no sides (a field is in the mapping)",
        "search tapeline-reconciliation-holes: gaps has no why (a field is in the mapping)",
    ]


def test_a_number_to_order_by_is_looked_at_like_any_other(objects):
    with made.panels(made.one(objects, "tapeline-symbol")) as panels:
        made.layer_of(panels["returns"])["columns"]["bucket-0"]["params"]["orderAgg"]["sourceField"] = "trade"
    (found,) = made.findings(objects)
    assert "candles has no trade" in found


def test_refresh_and_time_are_stored(objects):
    boards = [each["attributes"] for each in objects if each["type"] == "dashboard"]
    assert len(boards) == 4
    for board in boards:
        assert board["refreshInterval"] == {"pause": False, "value": 5000}
        assert (board["timeRestore"], board["timeTo"]) == (True, "now")
        assert board["timeFrom"].startswith("now-")
        assert json.loads(board["optionsJSON"])["hidePanelTitles"] is False

"""Columns in the schema of Kibana: markets, filters, formulas, orders."""

import json

import pytest
from tapeline_dashboards import columns
from tapeline_dashboards.source import Donut, Metric, Table
from tapeline_dashboards.views import VIEWS

TRADES = VIEWS["trades"]
PLACE = {"id": "p", "title": "A panel of a test", "at": (0, 0, 1, 1), "view": "trades"}


def metric(**value: object) -> dict[str, dict[str, object]]:
    panel = Metric.model_validate({**PLACE, "kind": "metric", "values": [{"name": "It", **value}]})
    return dict(columns.layer_of(panel, TRADES)["columns"])


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ({"side": "Buy"}, 'side: "Buy"'),
        ({"prediction": 1, "is_buy": True}, "prediction: 1 and is_buy: true"),
        ({"probability": "*"}, "probability: *"),
        ({"symbol": 'a"b'}, r'symbol: "a\"b"'),
        ({}, ""),
    ],
)
def test_conditions_are_written_in_kql(where, text):
    assert columns.kql(where) == text


def test_a_number_has_its_field_and_its_filter():
    (found,) = metric(median="price", where={"side": "Buy"}).values()
    assert (found["operationType"], found["sourceField"]) == ("median", "price")
    assert found["filter"] == {"query": 'side: "Buy"', "language": "kuery"}
    (counted,) = metric(count=True).values()
    assert (counted["operationType"], counted["sourceField"]) == ("count", "___records___")
    (distinct,) = metric(unique="symbol").values()
    assert distinct["operationType"] == "unique_count"
    (percentile,) = metric(percentile={"field": "delay_ms", "at": 95}).values()
    assert percentile["params"]["percentile"] == 95


def test_the_maximum_of_a_date_field_is_a_date():
    assert metric(max="@timestamp")["value-0"]["dataType"] == "date"
    assert metric(max="price")["value-0"]["dataType"] == "number"


def test_a_ratio_is_a_formula_with_its_operands_and_math_operation():
    found = metric(ratio=[{"count": True, "where": {"side": "Buy"}}, {"count": True}], form="percent")
    formula, first, second, math = (found[name] for name in ("value-0", "value-0X0", "value-0X1", "value-0X2"))
    assert formula["operationType"] == "formula"
    assert formula["params"]["formula"] == "count(kql='side: \"Buy\"') / count()"
    assert formula["params"]["format"]["id"] == "percent"
    assert formula["references"] == ["value-0X2"]
    assert (first["filter"]["query"], second.get("filter")) == ('side: "Buy"', None)
    assert math["references"] == ["value-0X0", "value-0X1"]
    tree = math["params"]["tinymathAst"]
    assert (tree["name"], tree["args"]) == ("divide", ["value-0X0", "value-0X1"])
    assert tree["location"]["max"] == len(tree["text"]) == len(formula["params"]["formula"])
    assert metric(difference=[{"sum": "sequence"}, {"count": True}])["value-0X2"]["params"]["tinymathAst"]["name"] == (
        "subtract"
    )


def terms(bucket: dict[str, object], *values: dict[str, object]) -> dict[str, object]:
    content = {**PLACE, "kind": "table", "rows": [bucket], "values": values or [{"name": "Trades", "count": True}]}
    return dict(columns.layer_of(Table.model_validate(content), TRADES)["columns"]["bucket-0"])


def test_a_market_is_venue_market_type_and_symbol_together():
    found = terms({"terms": "market", "size": 5})
    assert (found["sourceField"], found["params"]["secondaryFields"]) == ("venue", ["market_type", "symbol"])
    assert found["params"]["parentFormat"] == {"id": "multi_terms"}
    assert "secondaryFields" not in terms({"terms": "side"})["params"]


@pytest.mark.parametrize(
    ("order", "values", "wanted"),
    [
        ("count", [{"name": "Trades", "count": True}], {"type": "column", "columnId": "value-0"}),
        ("count", [{"name": "Price", "median": "price"}], {"type": "custom"}),
        ("count", [{"name": "Bought", "count": True, "where": {"side": "Buy"}}], {"type": "custom"}),
        (
            "Price",
            [{"name": "T", "count": True}, {"name": "Price", "max": "price"}],
            {"type": "column", "columnId": "value-1"},
        ),
        ("key", [{"name": "Trades", "count": True}], {"type": "alphabetical", "fallback": False}),
        ({"sum": "sequence"}, [{"name": "Trades", "count": True}], {"type": "custom"}),
    ],
)
def test_buckets_are_ordered_as_the_source_says(order, values, wanted):
    params = terms({"terms": "symbol", "order": order}, *values)["params"]
    assert params["orderBy"] == wanted
    if wanted["type"] == "custom":
        inner = params["orderAgg"]["operationType"]
        assert inner == ("sum" if isinstance(order, dict) else "count")


def test_a_panel_without_controls_ignores_global_filters():
    content = {**PLACE, "kind": "donut", "split": {"terms": "side"}, "values": [{"name": "Trades", "count": True}]}
    assert columns.layer_of(Donut.model_validate(content), TRADES)["ignoreGlobalFilters"] is False
    uncontrolled = Donut.model_validate({**content, "uses_controls": False})
    layer = columns.layer_of(uncontrolled, TRADES)
    assert layer["ignoreGlobalFilters"] is True
    json.dumps(layer)

"""Questions and answers in our words; tests/stack/test_dashboards.py puts them to a real server."""

import json

import pytest
from tapeline_dashboards import queries, reader
from tapeline_dashboards.queries import Span
from tapeline_dashboards.views import VIEWS

from unit.dashboards import made

SPAN = Span(1_000, 2_000, "5m")


def panel_of(board: int, identity: str) -> object:
    (panel,) = [each for each in made.boards()[board].panels if each.id == identity]
    return panel


def test_a_market_is_asked_for_field_by_field_inside_which_the_time_runs():
    body = queries.request(panel_of(0, "price"), VIEWS["trades"], SPAN)
    symbol = body["aggs"]["bucket-0.0"]
    market_type = symbol["aggs"]["bucket-0.1"]
    time = market_type["aggs"]["bucket-1"]
    assert (symbol["terms"]["field"], market_type["terms"]["field"]) == ("symbol", "market_type")
    assert time["date_histogram"] == {"field": "@timestamp", "fixed_interval": "5m", "min_doc_count": 1}
    assert time["aggs"]["value-0.0"]["aggs"]["value"] == {"percentiles": {"field": "price", "percents": [50]}}
    assert body["size"] == 0


def test_conditions_of_panel_and_value_are_asked_together_with_the_time():
    body = queries.request(panel_of(0, "volume-by-prediction"), VIEWS["trades"], SPAN)
    limits = {"gte": 1_000, "lt": 2_000, "format": "epoch_millis"}
    assert body["query"]["bool"]["filter"] == [{"range": {"@timestamp": limits}}, {"term": {"prediction_state": "ok"}}]
    inside = body["aggs"]["bucket-0.0"]["aggs"]["bucket-0.1"]["aggs"]
    assert inside["value-1.0"]["filter"] == {"bool": {"filter": [{"term": {"prediction": 1}}]}}
    assert {"value-3.0", "value-3.1", "order"} <= set(inside)


def test_a_fixed_time_stays_as_it_is():
    body = queries.request(panel_of(2, "hours"), VIEWS["scores"], SPAN)
    assert body["aggs"]["bucket-0"]["date_histogram"]["fixed_interval"] == "1h"


def test_conditions_with_a_star_ask_whether_there_is_a_value():
    assert queries.conditions({"probability": "*", "side": "Buy"}) == [
        {"exists": {"field": "probability"}},
        {"term": {"side": "Buy"}},
    ]


def test_kibanas_words_in_a_drawing_are_replaced():
    (source,) = [each for each in reader.drawing("candles")["data"] if "url" in each]
    found = queries.drawn(source["url"]["body"], SPAN)
    assert "%" not in str(found)
    inside = found["aggs"]["market_type"]["aggs"]["symbol"]["aggs"]["moments"]["date_histogram"]
    assert inside["fixed_interval"] == "5m"
    assert found["query"]["bool"]["filter"] == [SPAN.filter()]


OPERATIONS = {
    **{"avg": "average", "sum": "sum", "min": "min", "max": "max", "cardinality": "unique_count"},
    "percentiles": "percentile",
}


def asked(found: dict[str, object]) -> tuple[str, object, object, str]:
    """Return (operation, field, percentile, filter) of a number as Elasticsearch is asked for it."""
    where = found["filter"]["bool"]["filter"]
    terms = {name: value for each in where for name, value in each["term"].items()}
    text = " and ".join(f"{name}: {json.dumps(value)}" for name, value in terms.items())
    if "aggs" not in found:
        return "count", "___records___", None, text
    ((name, body),) = found["aggs"]["value"].items()
    percent = body["percents"][0] if "percents" in body else None
    return OPERATIONS[name], body["field"], percent, text


def stored(column: dict[str, object]) -> tuple[str, object, object, str]:
    """Return the same of a number as Lens keeps it."""
    operation, params = column["operationType"], column["params"]
    percent = 50 if operation == "median" else params.get("percentile")
    name = "percentile" if operation == "median" else operation
    return name, column["sourceField"], percent, column.get("filter", {}).get("query", "")


PANELS = [
    pytest.param(board, panel, id=f"{board.id}-{panel.id}")
    for board in made.boards()
    for panel in board.panels
    if hasattr(panel, "values")
]


@pytest.mark.parametrize(("board", "panel"), PANELS)
def test_what_lens_keeps_and_what_is_asked_are_the_same_numbers_in_the_same_buckets(board, panel):
    """One is proven, the other is shown."""
    body = queries.request(panel, VIEWS[panel.view], SPAN)
    with made.panels(made.one(made.compiled(), board.id)) as panels:
        attributes = panels[panel.id]["embeddableConfig"]["attributes"]
        layer = made.layer_of(panels[panel.id])
    assert queries.conditions(panel.where) == body["query"]["bool"]["filter"][1:]
    assert (attributes["state"]["query"]["query"] == "") is (len(body["query"]["bool"]["filter"]) == 1)
    inside, fields = body["aggs"], []
    while (names := [name for name in inside if name.startswith("bucket")]) and (found := inside[names[0]]):
        fields.append(found.get("terms", found.get("date_histogram", {}))["field"])
        inside = found["aggs"]
    columns = [layer["columns"][name] for name in layer["columnOrder"]]
    buckets = [each for each in columns if each["isBucketed"]]
    assert fields == [f for each in buckets for f in (each["sourceField"], *each["params"].get("secondaryFields", []))]
    numbers = [each for each in columns if not each["isBucketed"] and "sourceField" in each]
    assert [stored(each) for each in numbers] == [asked(inside[name]) for name in inside if name != "order"]


def test_a_quotient_of_nothing_is_nothing():
    panel = panel_of(3, "balanced")
    empty = {"aggregations": {"value-0.0": {"doc_count": 0}, "value-0.1": {"doc_count": 0}}}
    assert queries.rows(panel, VIEWS["reconciliation"], empty) == [{"Minutes that balance": None}]


def test_equal_markets_come_in_the_order_of_their_names():
    panel = panel_of(0, "most-active")

    def bucket(key: str, count: int, **more: object) -> dict[str, object]:
        return {"key": key, "doc_count": count, **more}

    def symbol(name: str, count: int) -> dict[str, object]:
        inside = bucket("spot", count, **{"value-0.0": {"doc_count": count}})
        return bucket(name, count, **{"bucket-0.1": {"buckets": [inside]}})

    answer = {"aggregations": {"bucket-0.0": {"buckets": [symbol("B", 2), symbol("A", 2), symbol("C", 3)]}}}
    found = queries.rows(panel, VIEWS["trades"], answer)
    assert [row["Market"] for row in found] == ["C › spot", "A › spot", "B › spot"]

"""Requests and parsed responses; tests/stack/test_dashboards.py runs them on a real server."""

import json

import pytest
from tapeline_dashboards import queries, reader
from tapeline_dashboards.queries import TimeRange
from tapeline_dashboards.views import VIEWS

from unit.dashboards import factories

TIME_RANGE = TimeRange(1_000, 2_000, "5m")


def panel_of(board: int, identity: str) -> object:
    (panel,) = [each for each in factories.boards()[board].panels if each.id == identity]
    return panel


def test_a_market_is_nested_field_by_field_around_the_time():
    body = queries.panel_request(panel_of(0, "price"), VIEWS["trades"], TIME_RANGE)
    venue = body["aggs"]["bucket-0.0"]
    market_type = venue["aggs"]["bucket-0.1"]
    symbol = market_type["aggs"]["bucket-0.2"]
    time = symbol["aggs"]["bucket-1"]
    fields = [each["terms"]["field"] for each in (venue, market_type, symbol)]
    assert fields == ["venue", "market_type", "symbol"]
    assert time["date_histogram"] == {"field": "@timestamp", "fixed_interval": "5m", "min_doc_count": 1}
    assert time["aggs"]["value-0.0"]["aggs"]["value"] == {"percentiles": {"field": "price", "percents": [50]}}
    assert body["size"] == 0


def test_conditions_of_panel_and_value_are_joined_with_the_time_range():
    body = queries.panel_request(panel_of(0, "size-by-prediction"), VIEWS["trades"], TIME_RANGE)
    limits = {"gte": 1_000, "lt": 2_000, "format": "epoch_millis"}
    assert body["query"]["bool"]["filter"] == [{"range": {"@timestamp": limits}}, {"term": {"prediction_state": "ok"}}]
    inside = body["aggs"]["bucket-0.0"]["aggs"]["bucket-0.1"]["aggs"]["bucket-0.2"]["aggs"]
    assert inside["value-1.0"]["filter"] == {"bool": {"filter": [{"term": {"prediction": 1}}]}}
    assert {"value-3.0", "value-3.1", "order"} <= set(inside)


def test_a_fixed_interval_is_kept():
    body = queries.panel_request(panel_of(2, "brier-by-hour"), VIEWS["scores"], TIME_RANGE)
    assert body["aggs"]["bucket-0"]["date_histogram"]["fixed_interval"] == "1h"


def test_a_star_condition_is_an_exists_query():
    assert queries.conditions({"probability": "*", "side": "Buy"}) == [
        {"exists": {"field": "probability"}},
        {"term": {"side": "Buy"}},
    ]


def test_placeholders_in_a_vega_request_are_replaced():
    (source,) = [each for each in reader.vega_spec("candles")["data"] if "url" in each]
    found = queries.vega_request(source["url"]["body"], TIME_RANGE)
    assert "%" not in str(found)
    inside = found["aggs"]["venue"]["aggs"]["market_type"]["aggs"]["symbol"]["aggs"]["intervals"]["date_histogram"]
    assert inside["fixed_interval"] == "5m"
    assert found["query"]["bool"]["filter"] == [TIME_RANGE.filter()]


OPERATIONS = {
    **{"avg": "average", "sum": "sum", "min": "min", "max": "max", "cardinality": "unique_count"},
    "percentiles": "percentile",
}


def requested(found: dict[str, object]) -> tuple[str, object, object, str]:
    """Return (operation, field, percentile, filter) of a number in the Elasticsearch request."""
    where = found["filter"]["bool"]["filter"]
    terms = {name: value for each in where for name, value in each["term"].items()}
    text = " and ".join(f"{name}: {json.dumps(value)}" for name, value in terms.items())
    if "aggs" not in found:
        return "count", "___records___", None, text
    ((name, body),) = found["aggs"]["value"].items()
    percent = body["percents"][0] if "percents" in body else None
    return OPERATIONS[name], body["field"], percent, text


def stored(column: dict[str, object]) -> tuple[str, object, object, str]:
    """Return the same of a number in the Lens attributes."""
    operation, params = column["operationType"], column["params"]
    percent = 50 if operation == "median" else params.get("percentile")
    name = "percentile" if operation == "median" else operation
    return name, column["sourceField"], percent, column.get("filter", {}).get("query", "")


PANELS = [
    pytest.param(board, panel, id=f"{board.id}-{panel.id}")
    for board in factories.boards()
    for panel in board.panels
    if hasattr(panel, "values")
]


@pytest.mark.parametrize(("board", "panel"), PANELS)
def test_lens_attributes_and_request_have_the_same_numbers_in_the_same_buckets(board, panel):
    """Tests run the request; users see the Lens panel."""
    body = queries.panel_request(panel, VIEWS[panel.view], TIME_RANGE)
    with factories.panels(factories.one(factories.compiled(), board.id)) as panels:
        attributes = panels[panel.id]["embeddableConfig"]["attributes"]
        layer = factories.layer_of(panels[panel.id])
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
    assert [stored(each) for each in numbers] == [requested(inside[name]) for name in inside if name != "order"]


def test_a_ratio_without_data_is_none():
    panel = panel_of(3, "reconciled")
    empty = {"aggregations": {"value-0.0": {"doc_count": 0}, "value-0.1": {"doc_count": 0}}}
    assert queries.rows(panel, VIEWS["reconciliation"], empty) == [{"Reconciled minutes": None}]


def test_equal_markets_come_in_the_order_of_their_names():
    panel = panel_of(0, "most-active")

    def bucket(key: str, count: int, **more: object) -> dict[str, object]:
        return {"key": key, "doc_count": count, **more}

    def venue(name: str, **counts: int) -> dict[str, object]:
        symbols = [bucket(key, count, **{"value-0.0": {"doc_count": count}}) for key, count in counts.items()]
        spot = bucket("spot", sum(counts.values()), **{"bucket-0.2": {"buckets": symbols}})
        return bucket(name, sum(counts.values()), **{"bucket-0.1": {"buckets": [spot]}})

    response = {"aggregations": {"bucket-0.0": {"buckets": [venue("bybit", B=2, A=2, C=3), venue("a", A=2)]}}}
    found = queries.rows(panel, VIEWS["trades"], response)
    assert [(row["Market"], row["Trades"]) for row in found] == [
        *(("bybit › spot › C", 3), ("a › spot › A", 2), ("bybit › spot › A", 2), ("bybit › spot › B", 2)),
    ]

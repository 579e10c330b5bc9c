"""How each chart uses its columns."""

from tapeline_dashboards import rules

from unit.dashboards import factories


def visualization(board: str, panel: str) -> dict[str, object]:
    with factories.panels(factories.one(factories.compiled(), board)) as panels:
        attributes = panels[panel]["embeddableConfig"]["attributes"]
    assert attributes["type"] == "lens"
    return {**attributes["state"]["visualization"], "type": attributes["visualizationType"]}


def test_a_line_is_split_and_a_second_axis_is_on_the_right():
    found = visualization("tapeline-market", "price-and-prediction")
    (layer,) = found["layers"]
    assert found["type"] == "lnsXY"
    assert (layer["splitAccessor"], layer["xAccessor"]) == ("bucket-0", "bucket-1")
    assert layer["yConfig"] == [{"forAccessor": "value-1", "axisMode": "right"}]
    assert found["yLeftScale"] == "log"


def test_bars_by_market_have_no_second_bucket_and_keep_their_colours():
    (layer,) = visualization("tapeline-market", "volume-by-side")["layers"]
    assert layer["seriesType"] == "bar_horizontal_percentage_stacked"
    assert "splitAccessor" not in layer
    assert [each["color"] for each in layer["yConfig"]] == ["#209280", "#cc5642"]


def test_donut_metric_and_table_use_their_columns():
    donut = visualization("tapeline-market", "trades-by-side")
    assert (donut["type"], donut["shape"]) == ("lnsPie", "donut")
    assert visualization("tapeline-market", "trades")["metricAccessor"] == "value-0"
    table = visualization("tapeline-reconciliation", "rejects")
    assert [each["columnId"] for each in table["columns"]] == ["bucket-0", "bucket-1", "value-0", "value-1"]
    assert [each["isMetric"] for each in table["columns"]] == [False, False, True, True]


def test_lines_are_not_interpolated():
    for board in factories.compiled():
        if board["type"] == "dashboard":
            for _, attributes in rules.lenses_of(board):
                if attributes["visualizationType"] == "lnsXY":
                    assert attributes["state"]["visualization"]["fittingFunction"] == "None"

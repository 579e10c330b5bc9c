"""Builds the Lens state of a panel: its layer, and the visualization of each chart type. Pure.

To add a chart type: a class in `source`, and a builder in _BUILDERS.
"""

from collections.abc import Callable
from typing import Any, Final

from tapeline_dashboards import columns
from tapeline_dashboards.source import Donut, LensPanel, Metric, Table, Time, Xy
from tapeline_dashboards.views import DataView

LAYER: Final = "shown"
REFERENCE: Final = f"indexpattern-datasource-layer-{LAYER}"
_TYPES: Final = {"xy": "lnsXY", "donut": "lnsPie", "metric": "lnsMetric", "table": "lnsDatatable"}
_COLOUR_MAPPING: Final = {
    "assignments": [],
    "specialAssignments": [{"rule": {"type": "other"}, "color": {"type": "loop"}, "touched": False}],
    "paletteId": "eui_amsterdam_color_blind",
    "colorMode": {"type": "categorical"},
}


def attributes(panel: LensPanel, view: DataView) -> dict[str, Any]:
    """Return the Lens attributes of a panel, without its position on a dashboard."""
    layers = {LAYER: columns.layer_of(panel, view)}
    return {
        "title": panel.title,
        "visualizationType": _TYPES[panel.kind],
        "type": "lens",
        "references": [{"type": "index-pattern", "id": view.identity, "name": REFERENCE}],
        "state": {
            "visualization": _BUILDERS[type(panel)](panel),
            "query": {"query": columns.kql(panel.where), "language": "kuery"},
            "filters": [],
            "datasourceStates": {
                "formBased": {"layers": layers},
                # Kibana's older migrations expect both.
                "indexpattern": {"layers": {}},
                "textBased": {"layers": {}},
            },
            "internalReferences": [],
            "adHocDataViews": {},
        },
    }


def _values(panel: LensPanel) -> list[str]:
    return [columns.value_id(number) for number in range(len(panel.values))]


def _xy(panel: Xy) -> dict[str, Any]:
    buckets = panel.buckets
    y_config = [
        {"forAccessor": identity, "axisMode": value.axis, **({"color": value.colour} if value.colour else {})}
        for identity, value in zip(_values(panel), panel.values, strict=True)
        if value.axis == "right" or value.colour
    ]
    layer: dict[str, Any] = {
        "layerId": LAYER,
        "layerType": "data",
        "seriesType": panel.series,
        "xAccessor": columns.bucket_id(buckets.index(panel.x)),
        "accessors": _values(panel),
        "position": "top",
        "showGridlines": False,
        "colorMapping": _COLOUR_MAPPING,
    }
    layer |= {"yConfig": y_config} if y_config else {}
    layer |= {"splitAccessor": columns.bucket_id(buckets.index(panel.split))} if panel.split else {}
    is_bounded = panel.from_zero and not panel.logarithmic
    return {
        "title": "Empty XY chart",
        "legend": {"isVisible": True, "position": "bottom" if isinstance(panel.x, Time) else "right"},
        "valueLabels": "hide",
        # No interpolation: no line where nothing was traded.
        "fittingFunction": "None",
        "preferredSeriesType": panel.series,
        "axisTitlesVisibilitySettings": {"x": False, "yLeft": True, "yRight": True},
        "yLeftExtent": {"mode": "full" if is_bounded else "dataBounds"},
        **({"yLeftScale": "log"} if panel.logarithmic else {}),
        "layers": [layer],
    }


def _donut(panel: Donut) -> dict[str, Any]:
    layer = {
        "layerId": LAYER,
        "layerType": "data",
        "primaryGroups": [columns.bucket_id(0)],
        "metrics": _values(panel),
        "numberDisplay": "percent",
        "categoryDisplay": "default",
        "legendDisplay": "show",
        "legendPosition": "right",
        "nestedLegend": False,
        "emptySizeRatio": 0.5,
        "colorMapping": _COLOUR_MAPPING,
    }
    return {"shape": "donut", "layers": [layer]}


def _metric(panel: Metric) -> dict[str, Any]:
    return {"layerId": LAYER, "layerType": "data", "metricAccessor": _values(panel)[0], "showBar": False}


def _table(panel: Table) -> dict[str, Any]:
    rows = [columns.bucket_id(number) for number in range(len(panel.rows))]
    table_columns = [{"columnId": name, "isMetric": False, "isTransposed": False} for name in rows]
    table_columns += [{"columnId": name, "isMetric": True, "isTransposed": False} for name in _values(panel)]
    return {"layerId": LAYER, "layerType": "data", "columns": table_columns}


_BUILDERS: Final[dict[type, Callable[[Any], dict[str, Any]]]] = {
    Xy: _xy,
    Donut: _donut,
    Metric: _metric,
    Table: _table,
}

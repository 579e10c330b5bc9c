"""A panel as Lens draws it: its layer, and how each chart uses the columns. Pure.

To add a kind of chart: a class in `source`, and a maker in _MAKERS.
"""

from collections.abc import Callable
from typing import Any, Final

from tapeline_dashboards import columns
from tapeline_dashboards.source import Donut, Figure, Shown, Table, Time, Xy
from tapeline_dashboards.views import View

LAYER: Final = "shown"
REFERENCE: Final = f"indexpattern-datasource-layer-{LAYER}"
_TYPES: Final = {"xy": "lnsXY", "donut": "lnsPie", "figure": "lnsMetric", "table": "lnsDatatable"}
_LOOPED: Final = {
    "assignments": [],
    "specialAssignments": [{"rule": {"type": "other"}, "color": {"type": "loop"}, "touched": False}],
    "paletteId": "eui_amsterdam_color_blind",
    "colorMode": {"type": "categorical"},
}


def attributes(panel: Shown, view: View) -> dict[str, Any]:
    """Return what Lens keeps of a panel, without a place on a dashboard."""
    layers = {LAYER: columns.layer_of(panel, view)}
    return {
        "title": panel.title,
        "visualizationType": _TYPES[panel.kind],
        "type": "lens",
        "references": [{"type": "index-pattern", "id": view.identity, "name": REFERENCE}],
        "state": {
            "visualization": _MAKERS[type(panel)](panel),
            "query": {"query": columns.kql(panel.where), "language": "kuery"},
            "filters": [],
            "datasourceStates": {
                "formBased": {"layers": layers},
                # Kibana's older migrations look for both.
                "indexpattern": {"layers": {}},
                "textBased": {"layers": {}},
            },
            "internalReferences": [],
            "adHocDataViews": {},
        },
    }


def _values(panel: Shown) -> list[str]:
    return [columns.value_id(number) for number in range(len(panel.values))]


def _xy(panel: Xy) -> dict[str, Any]:
    places = panel.buckets
    marks = [
        {"forAccessor": identity, "axisMode": value.axis, **({"color": value.colour} if value.colour else {})}
        for identity, value in zip(_values(panel), panel.values, strict=True)
        if value.axis == "right" or value.colour
    ]
    layer: dict[str, Any] = {
        "layerId": LAYER,
        "layerType": "data",
        "seriesType": panel.series,
        "xAccessor": columns.bucket_id(places.index(panel.x)),
        "accessors": _values(panel),
        "position": "top",
        "showGridlines": False,
        "colorMapping": _LOOPED,
    }
    layer |= {"yConfig": marks} if marks else {}
    layer |= {"splitAccessor": columns.bucket_id(places.index(panel.split))} if panel.split else {}
    is_bounded = panel.from_zero and not panel.logarithmic
    return {
        "title": "Empty XY chart",
        "legend": {"isVisible": True, "position": "bottom" if isinstance(panel.x, Time) else "right"},
        "valueLabels": "hide",
        # A gap is a gap: nothing is drawn where nothing was traded.
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
        "colorMapping": _LOOPED,
    }
    return {"shape": "donut", "layers": [layer]}


def _figure(panel: Figure) -> dict[str, Any]:
    return {"layerId": LAYER, "layerType": "data", "metricAccessor": _values(panel)[0], "showBar": False}


def _table(panel: Table) -> dict[str, Any]:
    rows = [columns.bucket_id(number) for number in range(len(panel.rows))]
    shown = [{"columnId": name, "isMetric": False, "isTransposed": False} for name in rows]
    shown += [{"columnId": name, "isMetric": True, "isTransposed": False} for name in _values(panel)]
    return {"layerId": LAYER, "layerType": "data", "columns": shown}


_MAKERS: Final[dict[type, Callable[[Any], dict[str, Any]]]] = {
    Xy: _xy,
    Donut: _donut,
    Figure: _figure,
    Table: _table,
}

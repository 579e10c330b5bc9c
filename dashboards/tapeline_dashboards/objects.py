"""Compiles the sources to saved objects: data views, Vega visualizations, lists, dashboards. Pure, deterministic.

The format is that of Kibana 8.8 to 9.3 (dashboard 10.2.0): 9.4 and later migrate it, and real exports of it are
available for comparison. See docs/decisions/0012-dashboards.md.
"""

import json
from typing import Any, Final

from tapeline_dashboards import lens, reader
from tapeline_dashboards.source import Control, Dashboard, Donut, List, Markdown, Metric, Panel, Table, Vega, Xy
from tapeline_dashboards.views import VIEWS, DataView

SavedObject = dict[str, Any]
_CORE: Final = "8.8.0"
_VERSIONS: Final = {"dashboard": "10.2.0", "index-pattern": "8.0.0", "visualization": "8.5.0", "search": "8.0.0"}
_EMPTY_SEARCH: Final = {"query": {"query": "", "language": "kuery"}, "filter": []}
_SOURCE: Final = "kibanaSavedObjectMeta.searchSourceJSON.index"


def ndjson(objects: list[SavedObject]) -> str:
    """Return the objects as NDJSON for `POST /api/saved_objects/_import`."""
    return "".join(json.dumps(each, sort_keys=True, separators=(",", ":")) + "\n" for each in objects)


def compile_dashboards(boards: tuple[Dashboard, ...]) -> list[SavedObject]:
    """Return every object of these dashboards; referenced objects come first.

    Raises:
        BadSource: a Vega spec cannot be read.
        KeyError: a panel uses an unknown view.
    """
    panels = [panel for board in boards for panel in board.panels]
    specs = {panel.spec: panel for panel in panels if isinstance(panel, Vega)}
    lists = [(board, panel) for board in boards for panel in board.panels if isinstance(panel, List)]
    return [
        *(data_view(view) for view in VIEWS.values()),
        *(_vega(panel) for panel in specs.values()),
        *(_list(board, panel) for board, panel in lists),
        *(_dashboard(board) for board in boards),
    ]


def data_view(view: DataView) -> SavedObject:
    """Return the saved object of a data view."""
    formats = {name: {"id": "number", "params": {"pattern": pattern}} for name, pattern in view.patterns.items()}
    attributes = {
        "title": view.pattern,
        "name": view.title,
        "timeFieldName": "@timestamp",
        "allowHidden": False,
        "fieldAttrs": "{}",
        "fieldFormatMap": json.dumps(formats),
        "fields": "[]",
        "runtimeFieldMap": "{}",
        "sourceFilters": "[]",
    }
    return _object("index-pattern", view.identity, attributes, [])


def _object(kind: str, identity: str, attributes: dict[str, Any], references: list[dict[str, str]]) -> SavedObject:
    return {
        "type": kind,
        "id": identity,
        "attributes": attributes,
        "references": references,
        "coreMigrationVersion": _CORE,
        "typeMigrationVersion": _VERSIONS[kind],
        "managed": False,
    }


def _vega(panel: Vega) -> SavedObject:
    spec = json.dumps(reader.vega_spec(panel.spec), indent=2)
    state = {"title": panel.title, "type": "vega", "aggs": [], "params": {"spec": spec}}
    attributes = {
        "title": panel.title,
        "description": "",
        "version": 1,
        "visState": json.dumps(state),
        "uiStateJSON": "{}",
        "kibanaSavedObjectMeta": {"searchSourceJSON": json.dumps(_EMPTY_SEARCH)},
    }
    return _object("visualization", _vega_id(panel), attributes, [])


def _vega_id(panel: Vega) -> str:
    return f"tapeline-{panel.spec}"


def _list_id(board: Dashboard, panel: List) -> str:
    return f"{board.id}-{panel.id}"


def _list(board: Dashboard, panel: List) -> SavedObject:
    attributes = {
        "title": panel.title,
        "description": "",
        "columns": list(panel.columns),
        "sort": [["@timestamp", "desc"]],
        "kibanaSavedObjectMeta": {"searchSourceJSON": json.dumps({**_EMPTY_SEARCH, "indexRefName": _SOURCE})},
    }
    reference = {"name": _SOURCE, "type": "index-pattern", "id": VIEWS[panel.view].identity}
    return _object("search", _list_id(board, panel), attributes, [reference])


def _dashboard(board: Dashboard) -> SavedObject:
    panels, references = [], []
    for panel in board.panels:
        content, required = _panel(board, panel)
        panels.append(content)
        references += required
    references += [
        {"type": "index-pattern", "id": VIEWS[each.view].identity, "name": f"controlGroup_{each.field}:{_LIST}"}
        for each in board.controls
    ]
    options = {"useMargins": True, "syncColors": True, "syncCursor": True, "syncTooltips": True}
    attributes = {
        "title": board.title,
        "description": board.description,
        "timeRestore": True,
        "timeFrom": board.since,
        "timeTo": "now",
        "refreshInterval": {"pause": False, "value": board.refresh_s * 1000},
        "version": 1,
        "kibanaSavedObjectMeta": {"searchSourceJSON": json.dumps(_EMPTY_SEARCH)},
        "optionsJSON": json.dumps({**options, "hidePanelTitles": False}),
        "panelsJSON": json.dumps(panels),
        "controlGroupInput": _controls(board.controls),
    }
    return _object("dashboard", board.id, attributes, references)


_LIST: Final = "optionsListDataView"


def _controls(controls: tuple[Control, ...]) -> dict[str, Any]:
    ignored = dict.fromkeys(("ignoreFilters", "ignoreQuery", "ignoreTimerange", "ignoreValidations"), False)
    return {
        "chainingSystem": "HIERARCHICAL",
        "controlStyle": "oneLine",
        "ignoreParentSettingsJSON": json.dumps(ignored),
        "showApplySelections": False,
        "panelsJSON": json.dumps({each.field: _control(each, order) for order, each in enumerate(controls)}),
    }


def _control(control: Control, order: int) -> dict[str, Any]:
    explicit_input = {
        "id": control.field,
        "dataViewId": VIEWS[control.view].identity,
        "fieldName": control.field,
        "title": control.title,
        "searchTechnique": "prefix",
        "selectedOptions": [],
        "sort": {"by": "_count", "direction": "desc"},
    }
    return {
        "order": order,
        "grow": True,
        "width": "medium",
        "type": "optionsListControl",
        "explicitInput": explicit_input,
    }


def _panel(board: Dashboard, panel: Panel) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Return a panel and the references that its dashboard needs."""
    x, y, w, h = panel.at
    content: dict[str, Any] = {
        "panelIndex": panel.id,
        "gridData": {"x": x, "y": y, "w": w, "h": h, "i": panel.id},
        "title": panel.title,
    }
    if isinstance(panel, Markdown):
        return content | {"type": "visualization", "embeddableConfig": {"savedVis": _markdown(panel)}}, []
    if isinstance(panel, Vega | List):
        kind, target = (
            ("visualization", _vega_id(panel)) if isinstance(panel, Vega) else ("search", _list_id(board, panel))
        )
        name = f"panel_{panel.id}"
        content |= {"type": kind, "embeddableConfig": {}, "panelRefName": name}
        return content, [{"type": kind, "id": target, "name": f"{panel.id}:{name}"}]
    return _lens(content, panel)


def _lens(content: dict[str, Any], panel: Xy | Donut | Metric | Table) -> tuple[dict[str, Any], list[dict[str, str]]]:
    view = VIEWS[panel.view]
    config: dict[str, Any] = {"attributes": lens.attributes(panel, view), "enhancements": {}}
    references = [{"type": "index-pattern", "id": view.identity, "name": f"{panel.id}:{lens.REFERENCE}"}]
    if panel.opens:
        event, factory = f"open-{panel.opens}", "DASHBOARD_TO_DASHBOARD_DRILLDOWN"
        # Passes only the clicked value: the target may lack the fields of other controls.
        options = {"useCurrentFilters": False, "useCurrentDateRange": True, "openInNewTab": False}
        action = {"factoryId": factory, "name": "Open market details", "config": options}
        events = [{"eventId": event, "triggers": ["FILTER_TRIGGER"], "action": action}]
        config["enhancements"] = {"dynamicActions": {"events": events}}
        name = f"{panel.id}:drilldown:{factory}:{event}:dashboardId"
        references.append({"type": "dashboard", "id": panel.opens, "name": name})
    return content | {"type": "lens", "embeddableConfig": config}, references


def _markdown(panel: Markdown) -> dict[str, Any]:
    return {
        "type": "markdown",
        "id": "",
        "title": panel.title,
        "description": "",
        "params": {"fontSize": 12, "openLinksInNewTab": False, "markdown": panel.text},
        "uiState": {},
        "data": {"aggs": [], "searchSource": {"query": {"query": "", "language": "kuery"}, "filter": []}},
    }

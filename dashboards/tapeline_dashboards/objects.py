"""Kibana's saved objects, made of the sources: data views, drawings, lists, dashboards. Pure, and always the same.

The form is the one that Kibana 8.8 to 9.3 wrote (dashboard 10.2.0): 9.4 and later read it and turn it into theirs,
and real exports of it were at hand to compare with. See docs/decisions/0012-dashboards.md.
"""

import json
from typing import Any, Final

from tapeline_dashboards import lens, reader
from tapeline_dashboards.source import Control, Dashboard, Donut, Figure, List, Panel, Prose, Table, Vega, Xy
from tapeline_dashboards.views import VIEWS, View

SavedObject = dict[str, Any]
_CORE: Final = "8.8.0"
_VERSIONS: Final = {"dashboard": "10.2.0", "index-pattern": "8.0.0", "visualization": "8.5.0", "search": "8.0.0"}
_NOTHING_CHOSEN: Final = {"query": {"query": "", "language": "kuery"}, "filter": []}
_SOURCE: Final = "kibanaSavedObjectMeta.searchSourceJSON.index"


def ndjson(objects: list[SavedObject]) -> str:
    """Return what `POST /api/saved_objects/_import` takes."""
    return "".join(json.dumps(each, sort_keys=True, separators=(",", ":")) + "\n" for each in objects)


def compiled(boards: tuple[Dashboard, ...]) -> list[SavedObject]:
    """Return every object of these dashboards, what is referred to before what refers to it.

    Raises:
        BadSource: a drawing cannot be read.
        KeyError: a panel names no view of `views`.
    """
    shown = [panel for board in boards for panel in board.panels]
    drawings = {panel.drawing: panel for panel in shown if isinstance(panel, Vega)}
    lists = [(board, panel) for board in boards for panel in board.panels if isinstance(panel, List)]
    return [
        *(data_view(view) for view in VIEWS.values()),
        *(_vega(panel) for panel in drawings.values()),
        *(_list(board, panel) for board, panel in lists),
        *(_dashboard(board) for board in boards),
    ]


def data_view(view: View) -> SavedObject:
    """Return the data view of a set of indices."""
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
    spec = json.dumps(reader.drawing(panel.drawing), indent=2)
    state = {"title": panel.title, "type": "vega", "aggs": [], "params": {"spec": spec}}
    attributes = {
        "title": panel.title,
        "description": "",
        "version": 1,
        "visState": json.dumps(state),
        "uiStateJSON": "{}",
        "kibanaSavedObjectMeta": {"searchSourceJSON": json.dumps(_NOTHING_CHOSEN)},
    }
    return _object("visualization", _drawing_id(panel), attributes, [])


def _drawing_id(panel: Vega) -> str:
    return f"tapeline-{panel.drawing}"


def _list_id(board: Dashboard, panel: List) -> str:
    return f"{board.id}-{panel.id}"


def _list(board: Dashboard, panel: List) -> SavedObject:
    attributes = {
        "title": panel.title,
        "description": "",
        "columns": list(panel.columns),
        "sort": [["@timestamp", "desc"]],
        "kibanaSavedObjectMeta": {"searchSourceJSON": json.dumps({**_NOTHING_CHOSEN, "indexRefName": _SOURCE})},
    }
    reference = {"name": _SOURCE, "type": "index-pattern", "id": VIEWS[panel.view].identity}
    return _object("search", _list_id(board, panel), attributes, [reference])


def _dashboard(board: Dashboard) -> SavedObject:
    panels, references = [], []
    for panel in board.panels:
        made, needed = _panel(board, panel)
        panels.append(made)
        references += needed
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
        "kibanaSavedObjectMeta": {"searchSourceJSON": json.dumps(_NOTHING_CHOSEN)},
        "optionsJSON": json.dumps({**options, "hidePanelTitles": False}),
        "panelsJSON": json.dumps(panels),
        "controlGroupInput": _controls(board.controls),
    }
    return _object("dashboard", board.id, attributes, references)


_LIST: Final = "optionsListDataView"


def _controls(controls: tuple[Control, ...]) -> dict[str, Any]:
    heard = dict.fromkeys(("ignoreFilters", "ignoreQuery", "ignoreTimerange", "ignoreValidations"), False)
    return {
        "chainingSystem": "HIERARCHICAL",
        "controlStyle": "oneLine",
        "ignoreParentSettingsJSON": json.dumps(heard),
        "showApplySelections": False,
        "panelsJSON": json.dumps({each.field: _control(each, order) for order, each in enumerate(controls)}),
    }


def _control(control: Control, order: int) -> dict[str, Any]:
    chosen = {
        "id": control.field,
        "dataViewId": VIEWS[control.view].identity,
        "fieldName": control.field,
        "title": control.title,
        "searchTechnique": "prefix",
        "selectedOptions": [],
        "sort": {"by": "_count", "direction": "desc"},
    }
    return {"order": order, "grow": True, "width": "medium", "type": "optionsListControl", "explicitInput": chosen}


def _panel(board: Dashboard, panel: Panel) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Return a panel and what its dashboard must refer to for it."""
    x, y, w, h = panel.at
    made: dict[str, Any] = {
        "panelIndex": panel.id,
        "gridData": {"x": x, "y": y, "w": w, "h": h, "i": panel.id},
        "title": panel.title,
    }
    if isinstance(panel, Prose):
        return made | {"type": "visualization", "embeddableConfig": {"savedVis": _prose(panel)}}, []
    if isinstance(panel, Vega | List):
        kind, target = (
            ("visualization", _drawing_id(panel)) if isinstance(panel, Vega) else ("search", _list_id(board, panel))
        )
        name = f"panel_{panel.id}"
        made |= {"type": kind, "embeddableConfig": {}, "panelRefName": name}
        return made, [{"type": kind, "id": target, "name": f"{panel.id}:{name}"}]
    return _lens(made, panel)


def _lens(made: dict[str, Any], panel: Xy | Donut | Figure | Table) -> tuple[dict[str, Any], list[dict[str, str]]]:
    view = VIEWS[panel.view]
    config: dict[str, Any] = {"attributes": lens.attributes(panel, view), "enhancements": {}}
    references = [{"type": "index-pattern", "id": view.identity, "name": f"{panel.id}:{lens.REFERENCE}"}]
    if panel.opens:
        event, factory = f"open-{panel.opens}", "DASHBOARD_TO_DASHBOARD_DRILLDOWN"
        # What was clicked goes along and nothing else: fields of other controls may be unknown over there.
        carried = {"useCurrentFilters": False, "useCurrentDateRange": True, "openInNewTab": False}
        action = {"factoryId": factory, "name": "Look at this market", "config": carried}
        events = [{"eventId": event, "triggers": ["FILTER_TRIGGER"], "action": action}]
        config["enhancements"] = {"dynamicActions": {"events": events}}
        name = f"{panel.id}:drilldown:{factory}:{event}:dashboardId"
        references.append({"type": "dashboard", "id": panel.opens, "name": name})
    return made | {"type": "lens", "embeddableConfig": config}, references


def _prose(panel: Prose) -> dict[str, Any]:
    return {
        "type": "markdown",
        "id": "",
        "title": panel.title,
        "description": "",
        "params": {"fontSize": 12, "openLinksInNewTab": False, "markdown": panel.text},
        "uiState": {},
        "data": {"aggs": [], "searchSource": {"query": {"query": "", "language": "kuery"}, "filter": []}},
    }

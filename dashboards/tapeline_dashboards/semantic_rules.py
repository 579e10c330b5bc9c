"""Validates dashboards against our mappings: fields, drill-downs, controls and markets. Pure.

Checks the compiled objects; checks the source where the objects lack the information.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from tapeline_dashboards import columns, reader, rules
from tapeline_dashboards.rules import Finding, SavedObject
from tapeline_dashboards.source import Dashboard, Donut, LensPanel, List, Metric, Table, Time, Vega, Xy
from tapeline_dashboards.views import BY_IDENTITY, NUMBERS, VIEWS, DataView

# These fields have different units in different markets, so an aggregate over several markets is meaningless.
PER_MARKET_FIELDS: Final = re.compile(
    r"price|quantity|base_quantity|open|high|low|close|vwap|volume|buy_volume|(return|volatility)_.*"
)
_MIN_TITLE_WORDS: Final = 3
_NO_MIXED_MARKETS: Final = "no aggregate over several markets"
_KQL_FIELD: Final = re.compile(r"([\w@.]+): ")
_NUMERIC: Final = ("median", "average", "sum", "percentile")
_LENS_PANEL: Final = Xy | Donut | Metric | Table


def check(boards: tuple[Dashboard, ...], objects: list[SavedObject]) -> list[Finding]:
    """Return the violations of these dashboards and of the objects compiled from them."""
    found = [finding for each in objects if each["type"] == "dashboard" for finding in _fields(each)]
    found += [finding for each in objects if each["type"] == "search" for finding in _list_columns(each)]
    by_id = {board.id: board for board in boards}
    for board in boards:
        found += _board(board)
        for panel in board.panels:
            place = f"dashboard {board.id}, panel {panel.id}"
            if isinstance(panel, _LENS_PANEL):
                found += _single_market(place, panel)
                found += _drilldown(place, panel, by_id)
            elif isinstance(panel, Vega):
                found += check_vega(place, reader.vega_spec(panel.spec))
    return found


def _board(board: Dashboard) -> Iterator[Finding]:
    where = f"dashboard {board.id}"
    ids = [panel.id for panel in board.panels]
    if len(set(ids)) < len(ids):
        yield Finding(where, "panel ids are unique", f"ids were {ids}")
    for panel in board.panels:
        if len(panel.title.split()) < _MIN_TITLE_WORDS:
            yield Finding(
                f"{where}, panel {panel.id}",
                f"a title has at least {_MIN_TITLE_WORDS} words",
                f"it was {panel.title!r}",
            )
    for control in board.controls:
        for name in sorted(controlled_views(board)):
            if not VIEWS[name].is_aggregatable(control.field):
                rule = "every controlled view has the field of a control"
                yield Finding(f"{where}, control {control.field}", rule, f"view {name} has no such field")


def controlled_views(board: Dashboard) -> set[str]:
    """Return the views of the panels that use the controls of their dashboard."""
    views = {panel.view for panel in board.panels if isinstance(panel, _LENS_PANEL) and panel.uses_controls}
    views |= {panel.view for panel in board.panels if isinstance(panel, List)}
    for panel in board.panels:
        if isinstance(panel, Vega):
            views |= {view.name for view, _ in vega_requests(reader.vega_spec(panel.spec)) if view}
    return views


def _single_market(place: str, panel: LensPanel) -> Iterator[Finding]:
    view = VIEWS[panel.view]
    split = {field for bucket in panel.buckets for field in columns.fields_of(bucket, view)}
    missing = [field for field in view.market if field not in split]
    if view.market and not missing:
        return
    for value in panel.values:
        for part in value.parts:
            if part.field and PER_MARKET_FIELDS.fullmatch(part.field):
                what = f"{part.kind} of {part.field} is not split by market"
                yield Finding(place, _NO_MIXED_MARKETS, what + _not_split_by(missing))


def _not_split_by(missing: list[str]) -> str:
    return f": {', '.join(missing)} is missing" if missing else ""


def _drilldown(place: str, panel: LensPanel, boards: dict[str, Dashboard]) -> Iterator[Finding]:
    if not panel.opens:
        return
    if isinstance(panel, Metric):
        yield Finding(place, "a drill-down needs buckets", "a metric panel has none")
    target = boards.get(panel.opens)
    if target is None:
        yield Finding(place, "the target of a drill-down exists", f"there is no dashboard {panel.opens}")
        return
    for bucket in panel.buckets:
        if isinstance(bucket, Time):
            continue
        for field in columns.fields_of(bucket, VIEWS[panel.view]):
            for name in sorted(controlled_views(target)):
                if not VIEWS[name].is_aggregatable(field):
                    rule = "the views of a drill-down target have its fields"
                    yield Finding(place, rule, f"view {name} of {target.id} has no {field}")


def _fields(each: SavedObject) -> Iterator[Finding]:
    for panel, attributes in rules.lenses_of(each):
        place = f"{rules.name_of(each)}, panel {panel['panelIndex']}"
        (reference,) = attributes["references"]
        view = BY_IDENTITY.get(reference["id"])
        if view is None:
            yield Finding(place, "a panel uses one of our data views", f"it was {reference['id']}")
            continue
        yield from _filter_fields(place, view, attributes["state"]["query"]["query"])
        for layer in rules.layers_of(attributes).values():
            for column in layer["columns"].values():
                yield from _column(place, view, column)
    for identity, control in rules.decoded(each["attributes"]["controlGroupInput"]["panelsJSON"]).items():
        selection = control["explicitInput"]
        if not BY_IDENTITY[selection["dataViewId"]].is_aggregatable(selection["fieldName"]):
            place = f"{rules.name_of(each)}, control {identity}"
            yield Finding(place, "a field is in the mapping", f"there is no {selection['fieldName']}")


def _column(place: str, view: DataView, column: dict[str, Any]) -> Iterator[Finding]:
    operation, params = column["operationType"], column.get("params", {})
    if operation in ("formula", "math"):
        return
    names = [column["sourceField"], *params.get("secondaryFields", [])]
    for name in names:
        if name == columns.RECORDS:
            continue
        kind = view.kind(name)
        if kind is None or not view.is_aggregatable(name):
            yield Finding(place, "a field is in the mapping and aggregatable", f"{view.name} has no {name}")
        elif operation in _NUMERIC and kind not in NUMBERS:
            yield Finding(
                place, "a numeric operation needs a numeric field", f"{operation} of {name}, which is a {kind}"
            )
        elif operation == "date_histogram" and kind != "date":
            yield Finding(place, "a date histogram needs a date field", f"{name} is a {kind}")
    yield from _filter_fields(place, view, column.get("filter", {}).get("query", ""))
    if "orderAgg" in params:
        yield from _column(place, view, params["orderAgg"])


def _filter_fields(place: str, view: DataView, query: str) -> Iterator[Finding]:
    for name in _KQL_FIELD.findall(query):
        if view.kind(name) is None:
            yield Finding(place, "a field is in the mapping", f"{view.name} has no {name}, which a filter uses")


def _list_columns(each: SavedObject) -> Iterator[Finding]:
    view = BY_IDENTITY[each["references"][0]["id"]]
    for name in each["attributes"]["columns"]:
        if view.kind(name) is None:
            yield Finding(rules.name_of(each), "a field is in the mapping", f"{view.name} has no {name}")


def vega_requests(spec: dict[str, Any]) -> Iterator[tuple[DataView | None, dict[str, Any]]]:
    """Yield (view, body) of every request of a Vega spec; view is None for unknown indices."""
    patterns = {view.pattern: view for view in VIEWS.values()}
    for each in spec["data"]:
        if "url" in each:
            yield patterns.get(each["url"]["index"]), each["url"]["body"]


def check_vega(place: str, spec: dict[str, Any]) -> Iterator[Finding]:
    """Yield the violations in the requests of a Vega spec."""
    for each in spec["data"]:
        url = each.get("url", {"%context%": True, "%timefield%": "@timestamp"})
        if not url.get("%context%") or url.get("%timefield%") != "@timestamp":
            yield Finding(place, "a Vega request uses time range and controls", f"data {each['name']} does not")
    for view, body in vega_requests(spec):
        if view is None:
            yield Finding(place, "a panel uses one of our data views", "its indices belong to no data view")
            continue
        for name in requested_fields(body):
            if view.kind(name) is None:
                yield Finding(place, "a field is in the mapping", f"{view.name} has no {name}")
        yield from _mixed_markets(place, view, body.get("aggs", {}), frozenset())


def _mixed_markets(place: str, view: DataView, aggs: dict[str, Any], split: frozenset[str]) -> Iterator[Finding]:
    """Yield the aggregations of a Vega request that are not inside the buckets of one market.

    Args:
        place: of the panel.
        view: of the request.
        aggs: by name.
        split: fields of the `terms` around them.
    """
    missing = [field for field in view.market if field not in split]
    for agg in aggs.values():
        own = {kind: options for kind, options in agg.items() if kind != "aggs"}
        if missing:
            for name in requested_fields(own):
                if PER_MARKET_FIELDS.fullmatch(name):
                    yield Finding(place, _NO_MIXED_MARKETS, f"{name} is not split by market{_not_split_by(missing)}")
        inside = split | {agg["terms"]["field"]} if "terms" in agg else split
        yield from _mixed_markets(place, view, agg.get("aggs", {}), inside)


def requested_fields(body: Any) -> Iterator[str]:
    """Yield every field that a request uses."""
    if isinstance(body, list):
        for each in body:
            yield from requested_fields(each)
    elif isinstance(body, dict):
        for key, value in body.items():
            if key == "field":
                yield value
            elif key in ("_source", "term", "exists"):
                yield from value
            else:
                yield from requested_fields(value)

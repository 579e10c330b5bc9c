"""Whether the dashboards mean what they say: fields, clicks, controls and markets, against our mappings. Pure.

Judged on the compiled objects where those say it, and on the source where only the source does.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from tapeline_dashboards import columns, reader, rules
from tapeline_dashboards.rules import Finding, SavedObject
from tapeline_dashboards.source import MARKET, Dashboard, Donut, Figure, List, Shown, Table, Terms, Time, Vega, Xy
from tapeline_dashboards.views import BY_IDENTITY, NUMBERS, VIEWS, View

# Of different markets these are amounts of different things, and no median or mean over them says anything.
OF_ONE_MARKET: Final = re.compile(r"price|quantity|open|high|low|close|vwap|volume|buy_volume|(return|volatility)_.*")
_WORDS_LEAST: Final = 3
_KQL_FIELD: Final = re.compile(r"([\w@.]+): ")
_NUMERIC: Final = ("median", "average", "sum", "percentile")
_DRAWN: Final = Xy | Donut | Figure | Table


def check(boards: tuple[Dashboard, ...], objects: list[SavedObject]) -> list[Finding]:
    """Return what is wrong with these dashboards and the objects made of them."""
    found = [finding for each in objects if each["type"] == "dashboard" for finding in _fields(each)]
    found += [finding for each in objects if each["type"] == "search" for finding in _columns(each)]
    by_id = {board.id: board for board in boards}
    for board in boards:
        found += _board(board)
        for panel in board.panels:
            place = f"dashboard {board.id}, panel {panel.id}"
            if isinstance(panel, _DRAWN):
                found += _one_market(place, panel)
                found += _click(place, panel, by_id)
            elif isinstance(panel, Vega):
                found += drawing(place, reader.drawing(panel.drawing))
    return found


def _board(board: Dashboard) -> Iterator[Finding]:
    where = f"dashboard {board.id}"
    ids = [panel.id for panel in board.panels]
    if len(set(ids)) < len(ids):
        yield Finding(where, "a panel has an id of its own", f"ids were {ids}")
    for panel in board.panels:
        if len(panel.title.split()) < _WORDS_LEAST:
            yield Finding(f"{where}, panel {panel.id}", "a title is a sentence", f"it was {panel.title!r}")
    for control in board.controls:
        for name in sorted(heard(board)):
            if not VIEWS[name].is_aggregatable(control.field):
                rule = "a control is known to all that hear it"
                yield Finding(f"{where}, control {control.field}", rule, f"view {name} has no such field")


def heard(board: Dashboard) -> set[str]:
    """Return the views of the panels that follow the controls of their dashboard."""
    views = {panel.view for panel in board.panels if isinstance(panel, _DRAWN) and panel.hears_controls}
    views |= {panel.view for panel in board.panels if isinstance(panel, List)}
    for panel in board.panels:
        if isinstance(panel, Vega):
            views |= {view.name for view, _ in requests(reader.drawing(panel.drawing)) if view}
    return views


def _one_market(place: str, panel: Shown) -> Iterator[Finding]:
    rule = "no median or mean over several markets"
    if any(isinstance(bucket, Terms) and bucket.terms == MARKET for bucket in panel.buckets):
        return
    for value in panel.values:
        for part in value.parts:
            if part.field and OF_ONE_MARKET.fullmatch(part.field):
                yield Finding(place, rule, f"{part.kind} of {part.field} is not dealt out by market")


def _click(place: str, panel: Shown, boards: dict[str, Dashboard]) -> Iterator[Finding]:
    if not panel.opens:
        return
    if isinstance(panel, Figure):
        yield Finding(place, "a click is heard", "Kibana opens nothing from a single number")
    target = boards.get(panel.opens)
    if target is None:
        yield Finding(place, "what a click opens is there", f"there is no dashboard {panel.opens}")
        return
    for bucket in panel.buckets:
        if isinstance(bucket, Time):
            continue
        for field in columns.fields_of(bucket, VIEWS[panel.view]):
            for name in sorted(heard(target)):
                if not VIEWS[name].is_aggregatable(field):
                    rule = "what a click carries is known where it leads"
                    yield Finding(place, rule, f"view {name} of {target.id} has no {field}")


def _fields(each: SavedObject) -> Iterator[Finding]:
    for panel, attributes in rules.lenses_of(each):
        place = f"{rules.name_of(each)}, panel {panel['panelIndex']}"
        (reference,) = attributes["references"]
        view = BY_IDENTITY.get(reference["id"])
        if view is None:
            yield Finding(place, "a panel shows one of our views", f"it was {reference['id']}")
            continue
        yield from _asked(place, view, attributes["state"]["query"]["query"])
        for layer in rules.layers_of(attributes).values():
            for column in layer["columns"].values():
                yield from _column(place, view, column)
    for identity, control in rules.decoded(each["attributes"]["controlGroupInput"]["panelsJSON"]).items():
        chosen = control["explicitInput"]
        if not BY_IDENTITY[chosen["dataViewId"]].is_aggregatable(chosen["fieldName"]):
            place = f"{rules.name_of(each)}, control {identity}"
            yield Finding(place, "a field is in the mapping", f"there is no {chosen['fieldName']}")


def _column(place: str, view: View, column: dict[str, Any]) -> Iterator[Finding]:
    operation, params = column["operationType"], column.get("params", {})
    if operation in ("formula", "math"):
        return
    names = [column["sourceField"], *params.get("secondaryFields", [])]
    for name in names:
        if name == columns.RECORDS:
            continue
        kind = view.kind(name)
        if kind is None or not view.is_aggregatable(name):
            yield Finding(place, "a field is in the mapping and can be worked with", f"{view.name} has no {name}")
        elif operation in _NUMERIC and kind not in NUMBERS:
            yield Finding(place, "numbers are made of numbers", f"{operation} of {name}, which is a {kind}")
        elif operation == "date_histogram" and kind != "date":
            yield Finding(place, "time is a date", f"{name} is a {kind}")
    yield from _asked(place, view, column.get("filter", {}).get("query", ""))
    if "orderAgg" in params:
        yield from _column(place, view, params["orderAgg"])


def _asked(place: str, view: View, query: str) -> Iterator[Finding]:
    for name in _KQL_FIELD.findall(query):
        if view.kind(name) is None:
            yield Finding(place, "a field is in the mapping", f"{view.name} has no {name}, which a filter names")


def _columns(each: SavedObject) -> Iterator[Finding]:
    view = BY_IDENTITY[each["references"][0]["id"]]
    for name in each["attributes"]["columns"]:
        if view.kind(name) is None:
            yield Finding(rules.name_of(each), "a field is in the mapping", f"{view.name} has no {name}")


def requests(spec: dict[str, Any]) -> Iterator[tuple[View | None, dict[str, Any]]]:
    """Yield (view, body) of every request of a drawing; None where its indices belong to no view."""
    patterns = {view.pattern: view for view in VIEWS.values()}
    for each in spec["data"]:
        if "url" in each:
            yield patterns.get(each["url"]["index"]), each["url"]["body"]


def drawing(place: str, spec: dict[str, Any]) -> Iterator[Finding]:
    """Yield what is wrong with the requests of a drawing."""
    for each in spec["data"]:
        told = each.get("url", {"%context%": True, "%timefield%": "@timestamp"})
        if not told.get("%context%") or told.get("%timefield%") != "@timestamp":
            yield Finding(place, "a drawing follows time and controls", f"data {each['name']} does not")
    for view, body in requests(spec):
        if view is None:
            yield Finding(place, "a panel shows one of our views", "its indices belong to none")
            continue
        for name in named(body):
            if view.kind(name) is None:
                yield Finding(place, "a field is in the mapping", f"{view.name} has no {name}")


def named(body: Any) -> Iterator[str]:
    """Yield every field that a request names."""
    if isinstance(body, list):
        for each in body:
            yield from named(each)
    elif isinstance(body, dict):
        for key, value in body.items():
            if key == "field":
                yield value
            elif key in ("_source", "term", "exists"):
                yield from value
            else:
                yield from named(value)

"""Whether saved objects hold together: every rule that can be judged without Kibana and without our mappings. Pure.

An import takes most broken objects without a word, and the panel stays empty. These rules hold for real exports too,
which is tested where such exports are at hand. What the fields mean is judged in `meaning`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

SavedObject = dict[str, Any]
COLUMNS: Final = 48
_PREFIX: Final = "indexpattern-datasource-layer-"
_TEXTS: Final = {
    "dashboard": ("panelsJSON", "optionsJSON"),
    "visualization": ("visState", "uiStateJSON"),
    "index-pattern": ("fields", "fieldFormatMap", "runtimeFieldMap", "sourceFilters", "fieldAttrs"),
}


@dataclass(frozen=True)
class Finding:
    """One rule that one place breaks."""

    where: str
    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what} ({self.rule})"


def check(objects: list[SavedObject], is_whole: bool = True) -> list[Finding]:
    """Return what is wrong.

    Args:
        objects: as the lines of an export.
        is_whole: everything that is referred to must be among them.
    """
    found = [finding for each in objects for finding in _texts(each)]
    if found:
        return found
    there = {(each["type"], each["id"]) for each in objects}
    if len(there) < len(objects):
        found.append(Finding("all", "one object an id", f"{len(objects) - len(there)} objects have another one's id"))
    for each in objects:
        found += _references(each, there if is_whole else None)
        if each["type"] == "dashboard":
            found += dashboard(each)
    return found


def name_of(each: SavedObject) -> str:
    """Return how a finding names an object."""
    return f"{each['type']} {each['id']}"


def decoded(value: Any) -> Any:
    """Return what a text of JSON says; real files hold some of them already read."""
    return json.loads(value) if isinstance(value, str) else value


def panels_of(each: SavedObject) -> list[dict[str, Any]]:
    """Return the panels of a dashboard."""
    panels: list[dict[str, Any]] = decoded(each["attributes"]["panelsJSON"])
    return panels


def lenses_of(each: SavedObject) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield (panel, its Lens attributes) for every panel that Lens draws from its own definition."""
    for panel in panels_of(each):
        if panel.get("type") == "lens" and "attributes" in panel.get("embeddableConfig", {}):
            yield panel, panel["embeddableConfig"]["attributes"]


def layers_of(attributes: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the layers of a Lens panel that ask a data view."""
    states = attributes["state"]["datasourceStates"]
    layers: dict[str, dict[str, Any]] = states.get("formBased", states.get("indexpattern", {})).get("layers", {})
    return layers


def _texts(each: SavedObject) -> Iterator[Finding]:
    attributes = each["attributes"]
    texts = {name: attributes[name] for name in _TEXTS.get(each["type"], ()) if name in attributes}
    texts |= attributes.get("kibanaSavedObjectMeta", {})
    if "panelsJSON" in attributes.get("controlGroupInput", {}):
        texts["controlGroupInput.panelsJSON"] = attributes["controlGroupInput"]["panelsJSON"]
    for name, text in texts.items():
        try:
            decoded(text)
        except ValueError as error:
            yield Finding(name_of(each), "what is JSON in a text can be read", f"{name}: {error}")


def _references(each: SavedObject, there: set[tuple[str, str]] | None) -> Iterator[Finding]:
    rule = "what is referred to is there"
    names = [reference["name"] for reference in each["references"]]
    if len(set(names)) < len(names):
        yield Finding(name_of(each), "a reference has a name of its own", f"names were {sorted(names)}")
    for reference in each["references"]:
        if there is not None and (reference["type"], reference["id"]) not in there:
            yield Finding(name_of(each), rule, f"{reference['name']} is {reference['type']} {reference['id']}")


def dashboard(each: SavedObject) -> Iterator[Finding]:
    """Yield what is wrong with one dashboard."""
    where, names = name_of(each), {reference["name"] for reference in each["references"]}
    yield from _grid(where, panels_of(each))
    for panel in panels_of(each):
        place = f"{where}, panel {panel['panelIndex']}"
        for needed in _needed(panel):
            if f"{panel['panelIndex']}:{needed}" not in names and needed not in names:
                yield Finding(place, "a panel's references stand in its dashboard", f"{needed} is missing")
    for panel, attributes in lenses_of(each):
        yield from lens(f"{where}, panel {panel['panelIndex']}", attributes)
    controls = decoded(each["attributes"].get("controlGroupInput", {}).get("panelsJSON", "{}"))
    for identity, control in controls.items():
        kind = "rangeSlider" if control["type"] == "rangeSliderControl" else "optionsList"
        if f"controlGroup_{identity}:{kind}DataView" not in names:
            yield Finding(f"{where}, control {identity}", "a control's data view is referred to", "it is not")


def _grid(where: str, panels: list[dict[str, Any]]) -> Iterator[Finding]:
    for panel in panels:
        place, grid = f"{where}, panel {panel['panelIndex']}", panel["gridData"]
        if panel["panelIndex"] != grid["i"]:
            yield Finding(place, "a panel and its place have one id", f"its place has {grid['i']}")
        if grid["x"] < 0 or grid["y"] < 0 or grid["w"] < 1 or grid["h"] < 1 or grid["x"] + grid["w"] > COLUMNS:
            yield Finding(place, f"a panel lies within {COLUMNS} columns", f"its place was {grid}")
    for one, other in combinations(panels, 2):
        a, b = one["gridData"], other["gridData"]
        if a.get("sectionId") != b.get("sectionId"):
            continue
        is_beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        if not is_beside and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"]:
            place = f"{where}, panel {one['panelIndex']}"
            yield Finding(place, "panels do not overlap", f"it overlaps {other['panelIndex']}")


def _needed(panel: dict[str, Any]) -> Iterator[str]:
    """Yield the names under which a panel needs references in its dashboard."""
    config = panel.get("embeddableConfig", {})
    if "panelRefName" in panel:
        yield panel["panelRefName"]
    for reference in config.get("attributes", {}).get("references", []):
        yield reference["name"]
    for event in config.get("enhancements", {}).get("dynamicActions", {}).get("events", []):
        factory = event["action"]["factoryId"]
        if factory == "DASHBOARD_TO_DASHBOARD_DRILLDOWN":
            yield f"drilldown:{factory}:{event['eventId']}:dashboardId"


def lens(place: str, attributes: dict[str, Any]) -> Iterator[Finding]:
    """Yield what is wrong with what Lens keeps of one panel."""
    names = {each["name"] for each in attributes["references"]}
    names |= {each["name"] for each in attributes["state"].get("internalReferences", [])}
    shown = accessors(attributes["state"]["visualization"])
    for identity, layer in layers_of(attributes).items():
        if f"{_PREFIX}{identity}" not in names:
            yield Finding(place, "a layer refers to its data view", f"{_PREFIX}{identity} is missing")
        yield from _columns(place, layer, shown)
        shown -= set(layer["columns"])
    if shown and layers_of(attributes):
        yield Finding(place, "what is drawn is a column", f"there is no {', '.join(sorted(shown))}")


def _columns(place: str, layer: dict[str, Any], shown: set[str]) -> Iterator[Finding]:
    found, order = layer["columns"], layer["columnOrder"]
    if sorted(order) != sorted(found):
        yield Finding(place, "the order names every column once", f"it was {order} of {sorted(found)}")
        return
    dealt = [bool(found[name]["isBucketed"]) for name in order]
    if dealt != sorted(dealt, reverse=True):
        yield Finding(place, "buckets stand before numbers", f"the order was {order}")
    parts = {name for column in found.values() for name in column.get("references", [])}
    for name in sorted(parts - set(found)):
        yield Finding(place, "a formula's parts are columns", f"there is no {name}")
    for name in sorted(set(found) - shown - parts):
        yield Finding(place, "every column is drawn", f"{name} is not")
    for name, column in found.items():
        ordered_by = column.get("params", {}).get("orderBy", {})
        if ordered_by.get("type") == "column":
            target = found.get(ordered_by["columnId"])
            if target is None or target["operationType"] in ("formula", "math"):
                yield Finding(place, "buckets are ordered by a plain number", f"{name} by {ordered_by['columnId']}")


def accessors(visualization: dict[str, Any]) -> set[str]:
    """Return every column that a chart says it draws."""
    found: set[str] = set()
    for name, value in visualization.items():
        if name in ("layers", "columns"):
            found |= {each for part in value for each in accessors(part)}
        elif name in ("accessors", "primaryGroups", "secondaryGroups", "metrics", "splitAccessors"):
            found |= set(value)
        elif name == "columnId" or (name.endswith("Accessor") and isinstance(value, str)):
            found.add(value)
    return found

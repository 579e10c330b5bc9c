"""Validates the structure of saved objects, without Kibana and without our mappings. Pure.

Kibana imports most broken objects without an error, and the panel stays empty. Real exports satisfy these rules too,
which is tested where exports are available. `semantic_rules` validates the fields.
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
    """One violation of one rule."""

    where: str
    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what} ({self.rule})"


def check(objects: list[SavedObject], is_complete: bool = True) -> list[Finding]:
    """Return the violations.

    Args:
        objects: the objects of an export.
        is_complete: every referenced object must be among them.
    """
    found = [finding for each in objects for finding in _texts(each)]
    if found:
        return found
    present = {(each["type"], each["id"]) for each in objects}
    if len(present) < len(objects):
        found.append(
            Finding("all", "object ids are unique", f"{len(objects) - len(present)} objects have a duplicate id")
        )
    for each in objects:
        found += _references(each, present if is_complete else None)
        if each["type"] == "dashboard":
            found += dashboard(each)
    return found


def name_of(each: SavedObject) -> str:
    """Return the name of an object in findings."""
    return f"{each['type']} {each['id']}"


def decoded(value: Any) -> Any:
    """Return the value of a JSON string; some exports hold it already decoded."""
    return json.loads(value) if isinstance(value, str) else value


def panels_of(each: SavedObject) -> list[dict[str, Any]]:
    """Return the panels of a dashboard."""
    panels: list[dict[str, Any]] = decoded(each["attributes"]["panelsJSON"])
    return panels


def lenses_of(each: SavedObject) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield (panel, Lens attributes) of every Lens panel that is defined inline."""
    for panel in panels_of(each):
        if panel.get("type") == "lens" and "attributes" in panel.get("embeddableConfig", {}):
            yield panel, panel["embeddableConfig"]["attributes"]


def layers_of(attributes: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the data view layers of a Lens panel."""
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
            yield Finding(name_of(each), "embedded JSON is valid", f"{name}: {error}")


def _references(each: SavedObject, present: set[tuple[str, str]] | None) -> Iterator[Finding]:
    rule = "referenced objects exist"
    names = [reference["name"] for reference in each["references"]]
    if len(set(names)) < len(names):
        yield Finding(name_of(each), "reference names are unique", f"names were {sorted(names)}")
    for reference in each["references"]:
        if present is not None and (reference["type"], reference["id"]) not in present:
            yield Finding(name_of(each), rule, f"{reference['name']} is {reference['type']} {reference['id']}")


def dashboard(each: SavedObject) -> Iterator[Finding]:
    """Yield the violations of one dashboard."""
    where, names = name_of(each), {reference["name"] for reference in each["references"]}
    yield from _grid(where, panels_of(each))
    for panel in panels_of(each):
        place = f"{where}, panel {panel['panelIndex']}"
        for required in _required_references(panel):
            if f"{panel['panelIndex']}:{required}" not in names and required not in names:
                yield Finding(place, "a dashboard has the references of its panels", f"{required} is missing")
    for panel, attributes in lenses_of(each):
        yield from lens(f"{where}, panel {panel['panelIndex']}", attributes)
    controls = decoded(each["attributes"].get("controlGroupInput", {}).get("panelsJSON", "{}"))
    for identity, control in controls.items():
        kind = "rangeSlider" if control["type"] == "rangeSliderControl" else "optionsList"
        if f"controlGroup_{identity}:{kind}DataView" not in names:
            yield Finding(
                f"{where}, control {identity}", "a dashboard references the data view of a control", "it does not"
            )


def _grid(where: str, panels: list[dict[str, Any]]) -> Iterator[Finding]:
    for panel in panels:
        place, grid = f"{where}, panel {panel['panelIndex']}", panel["gridData"]
        if panel["panelIndex"] != grid["i"]:
            yield Finding(place, "panelIndex equals gridData.i", f"gridData.i is {grid['i']}")
        if grid["x"] < 0 or grid["y"] < 0 or grid["w"] < 1 or grid["h"] < 1 or grid["x"] + grid["w"] > COLUMNS:
            yield Finding(place, f"a panel lies within {COLUMNS} columns", f"its grid is {grid}")
    for one, other in combinations(panels, 2):
        a, b = one["gridData"], other["gridData"]
        if a.get("sectionId") != b.get("sectionId"):
            continue
        are_side_by_side = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        if not are_side_by_side and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"]:
            place = f"{where}, panel {one['panelIndex']}"
            yield Finding(place, "panels do not overlap", f"it overlaps {other['panelIndex']}")


def _required_references(panel: dict[str, Any]) -> Iterator[str]:
    """Yield the reference names that a panel needs in its dashboard."""
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
    """Yield the violations in the Lens attributes of one panel."""
    names = {each["name"] for each in attributes["references"]}
    names |= {each["name"] for each in attributes["state"].get("internalReferences", [])}
    shown = accessors(attributes["state"]["visualization"])
    for identity, layer in layers_of(attributes).items():
        if f"{_PREFIX}{identity}" not in names:
            yield Finding(place, "a layer references its data view", f"{_PREFIX}{identity} is missing")
        yield from _columns(place, layer, shown)
        shown -= set(layer["columns"])
    if shown and layers_of(attributes):
        yield Finding(place, "a visualization uses existing columns", f"there is no {', '.join(sorted(shown))}")


def _columns(place: str, layer: dict[str, Any], shown: set[str]) -> Iterator[Finding]:
    found, order = layer["columns"], layer["columnOrder"]
    if sorted(order) != sorted(found):
        yield Finding(place, "columnOrder lists every column once", f"it was {order} of {sorted(found)}")
        return
    bucketed = [bool(found[name]["isBucketed"]) for name in order]
    if bucketed != sorted(bucketed, reverse=True):
        yield Finding(place, "buckets precede metrics", f"the order was {order}")
    parts = {name for column in found.values() for name in column.get("references", [])}
    for name in sorted(parts - set(found)):
        yield Finding(place, "the operands of a formula are columns", f"there is no {name}")
    for name in sorted(set(found) - shown - parts):
        yield Finding(place, "the visualization uses every column", f"{name} is unused")
    for name, column in found.items():
        ordered_by = column.get("params", {}).get("orderBy", {})
        if ordered_by.get("type") == "column":
            target = found.get(ordered_by["columnId"])
            if target is None or target["operationType"] in ("formula", "math"):
                yield Finding(place, "buckets are ordered by a plain metric", f"{name} by {ordered_by['columnId']}")


def accessors(visualization: dict[str, Any]) -> set[str]:
    """Return every column that a visualization uses."""
    found: set[str] = set()
    for name, value in visualization.items():
        if name in ("layers", "columns"):
            found |= {each for part in value for each in accessors(part)}
        elif name in ("accessors", "primaryGroups", "secondaryGroups", "metrics", "splitAccessors"):
            found |= set(value)
        elif name == "columnId" or (name.endswith("Accessor") and isinstance(value, str)):
            found.add(value)
    return found

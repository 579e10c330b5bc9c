"""Compares our objects with real exports of Kibana, in the folder CAPTURES.

`from-kibana` holds exports of Kibana's editor, `lens-config...` the output of the config builder of Kibana 9.2.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tapeline_dashboards import rules
from tapeline_dashboards.rules import SavedObject

from unit.dashboards import factories

CAPTURES = os.environ.get("CAPTURES", "")
FOLDER = Path(CAPTURES) / "kibana" if CAPTURES else None
pytestmark = [
    pytest.mark.captures,
    pytest.mark.skipif(
        FOLDER is None or not FOLDER.exists(), reason="needs real exports: CAPTURES names no such folder"
    ),
]
Shape = dict[str, tuple[set[str], set[str]]]

# Ours and in none of the exports at hand, each as Kibana's own code names it: fields of its saved objects' schema
# (timeFrom, timeTo, refreshInterval), what a panel has that is drawn by reference (panelRefName), and options of
# Lens' editor that nobody had used in them.
NOT_SEEN = {
    "dashboard": {"timeFrom", "timeTo", "refreshInterval"},
    "panel": {"panelRefName"},
    "lens column terms": {"customLabel", "params.secondaryFields", "params.orderAgg"},
    "lens column date_histogram": {"customLabel"},
    "lens column number": {"filter", "params.percentile", "params.format"},
    "lens column formula": {"params.isFormulaBroken", "params.format", "scale"},
    "lens lnsXY": {"yLeftScale"},
    "lens lnsPie layer": {"emptySizeRatio"},
    "control optionsListControl": {"title", "id"},
}


def real() -> list[SavedObject]:
    assert FOLDER is not None
    found = [json.loads(path.read_text()) for path in sorted((FOLDER / "from-kibana").iterdir())]
    return [each for each in found if each["type"] == "dashboard"]


def built() -> list[dict[str, Any]]:
    assert FOLDER is not None
    folder = next(iter(FOLDER.glob("lens-configbuilder-*")))
    # Of a trend line the builder leaves a column to the editor, so it does not stand by itself.
    paths = [path for path in sorted(folder.iterdir()) if path.name != "metric-with-trend.json"]
    return [json.loads(path.read_text()) for path in paths]


def keys(found: Shape, place: str, content: dict[str, Any]) -> None:
    """Note which keys a thing has: (all ever seen, those that were always there)."""
    names = set(content)
    if isinstance(content.get("params"), dict):
        names |= {f"params.{name}" for name in content["params"]}
    seen, always = found.setdefault(place, (set(), set(names)))
    seen |= names
    always &= names


def family(operation: str) -> str:
    """Return what an operation is compared as: all numbers that are made of one field have one shape."""
    return operation if operation in ("terms", "date_histogram", "formula", "math") else "number"


def lens_shape(found: Shape, attributes: dict[str, Any]) -> None:
    keys(found, "lens", attributes)
    keys(found, "lens state", attributes["state"])
    kind = attributes["visualizationType"]
    keys(found, f"lens {kind}", attributes["state"]["visualization"])
    for layer in attributes["state"]["visualization"].get("layers", []):
        if layer.get("layerType", "data") == "data":
            keys(found, f"lens {kind} layer", layer)
    for layer in rules.layers_of(attributes).values():
        keys(found, "layer", layer)
        for column in layer["columns"].values():
            keys(found, f"lens column {family(column['operationType'])}", column)


def shape(objects: list[SavedObject], lenses: list[dict[str, Any]]) -> Shape:
    found: Shape = {}
    for each in objects:
        keys(found, "object", each)
        keys(found, "dashboard", each["attributes"])
        for panel in rules.panels_of(each):
            keys(found, "panel", panel)
            keys(found, "grid", panel["gridData"])
        for _, attributes in rules.lenses_of(each):
            if rules.layers_of(attributes):
                lens_shape(found, attributes)
        control = each["attributes"].get("controlGroupInput", {})
        keys(found, "controls", control)
        for one in rules.decoded(control.get("panelsJSON", "{}")).values():
            keys(found, f"control {one['type']}", {**one, **one["explicitInput"]})
    for attributes in lenses:
        if rules.layers_of(attributes):
            lens_shape(found, attributes)
    return found


def ours() -> list[SavedObject]:
    return [each for each in factories.compiled() if each["type"] == "dashboard"]


def test_the_rules_hold_for_what_kibana_wrote():
    """A rule that real exports break is no rule."""
    found = [finding for each in real() for finding in rules.check([each], is_complete=False)]
    assert [str(each) for each in found] == []
    lenses = [found for each in built() for found in rules.lens("built", each)]
    assert [str(each) for each in lenses] == []
    assert len(real()) >= 9
    assert len(built()) >= 13


def test_our_objects_have_no_key_unknown_to_kibana():
    known, mine = shape(real(), built()), shape(ours(), [])
    for place, (seen, _) in mine.items():
        if place in known:
            assert seen - known[place][0] == NOT_SEEN.get(place, set()), place


def test_our_objects_have_every_key_that_kibana_always_writes():
    known, mine = shape(real(), []), shape(ours(), [])
    # Of a saved object: what the server adds when it stores one.
    added = {"created_at", "created_by", "updated_at", "updated_by", "version"}
    for place, (_, always) in known.items():
        if place in mine:
            missing = always - mine[place][1] - added
            assert not missing, (place, missing)


def compared() -> Iterator[str]:
    known = shape(real(), built())
    yield from (place for place in shape(ours(), []) if place in known)


def test_most_of_our_objects_are_compared():
    """What is in no export at hand: the three columns of a formula are, and percentiles, minima and maxima are not."""
    assert {"object", "dashboard", "panel", "grid", "controls", "lens", "lens state", "layer"} <= set(compared())
    assert {"lens lnsXY", "lens lnsPie", "lens lnsMetric", "lens lnsDatatable"} <= set(compared())
    assert {"lens column terms", "lens column date_histogram", "lens column number"} <= set(compared())

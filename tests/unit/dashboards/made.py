"""The real dashboards, compiled once, and copies that a test may break."""

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from tapeline_dashboards import meaning, objects, reader, rules
from tapeline_dashboards.objects import SavedObject
from tapeline_dashboards.source import Dashboard


@lru_cache
def boards() -> tuple[Dashboard, ...]:
    return reader.dashboards()


@lru_cache
def _compiled() -> str:
    return objects.ndjson(objects.compiled(boards()))


def compiled() -> list[SavedObject]:
    """Return the saved objects, as they are read back from the file that Kibana gets."""
    return [json.loads(line) for line in _compiled().splitlines()]


def one(made: list[SavedObject], identity: str, kind: str = "dashboard") -> SavedObject:
    (found,) = [each for each in made if (each["type"], each["id"]) == (kind, identity)]
    return found


@contextmanager
def panels(board: SavedObject) -> Iterator[dict[str, dict[str, Any]]]:
    """Give the panels of a dashboard by id, and put back what the test made of them."""
    found = {panel["panelIndex"]: panel for panel in rules.panels_of(board)}
    yield found
    board["attributes"]["panelsJSON"] = json.dumps(list(found.values()))


def layer_of(panel: dict[str, Any]) -> dict[str, Any]:
    (layer,) = rules.layers_of(panel["embeddableConfig"]["attributes"]).values()
    return dict(layer)


def findings(made: list[SavedObject], given: tuple[Dashboard, ...] | None = None) -> list[str]:
    """Return what the rules say, as a person reads it."""
    return [str(each) for each in (*rules.check(made), *meaning.check(given or boards(), made))]


def changed(board: str, panel: str, **values: Any) -> tuple[Dashboard, ...]:
    """Return the dashboards with another word or two in the source of one panel."""
    result = []
    for each in boards():
        content = copy.deepcopy(each.model_dump(exclude_none=True))
        for one_panel in content["panels"]:
            if (each.id, one_panel["id"]) == (board, panel):
                one_panel |= values
        result.append(Dashboard.model_validate(content))
    return tuple(result)

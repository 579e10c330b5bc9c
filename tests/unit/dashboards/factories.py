"""The real dashboards, compiled once, and copies that a test may modify."""

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from tapeline_dashboards import objects, reader, rules, semantic_rules
from tapeline_dashboards.objects import SavedObject
from tapeline_dashboards.source import Dashboard


@lru_cache
def boards() -> tuple[Dashboard, ...]:
    return reader.read_dashboards()


@lru_cache
def _compiled() -> str:
    return objects.ndjson(objects.compile_dashboards(boards()))


def compiled() -> list[SavedObject]:
    """Return the saved objects, parsed from the NDJSON that Kibana imports."""
    return [json.loads(line) for line in _compiled().splitlines()]


def one(saved: list[SavedObject], identity: str, kind: str = "dashboard") -> SavedObject:
    (found,) = [each for each in saved if (each["type"], each["id"]) == (kind, identity)]
    return found


@contextmanager
def panels(board: SavedObject) -> Iterator[dict[str, dict[str, Any]]]:
    """Yield the panels of a dashboard by id, and write back the changes of the test."""
    found = {panel["panelIndex"]: panel for panel in rules.panels_of(board)}
    yield found
    board["attributes"]["panelsJSON"] = json.dumps(list(found.values()))


def layer_of(panel: dict[str, Any]) -> dict[str, Any]:
    (layer,) = rules.layers_of(panel["embeddableConfig"]["attributes"]).values()
    return dict(layer)


def findings(saved: list[SavedObject], sources: tuple[Dashboard, ...] | None = None) -> list[str]:
    """Return the findings of all rules as texts."""
    return [str(each) for each in (*rules.check(saved), *semantic_rules.check(sources or boards(), saved))]


def changed(board: str, panel: str, **values: Any) -> tuple[Dashboard, ...]:
    """Return the dashboards with changed fields in the source of one panel."""
    result = []
    for each in boards():
        content = copy.deepcopy(each.model_dump(exclude_none=True))
        for one_panel in content["panels"]:
            if (each.id, one_panel["id"]) == (board, panel):
                one_panel |= values
        result.append(Dashboard.model_validate(content))
    return tuple(result)

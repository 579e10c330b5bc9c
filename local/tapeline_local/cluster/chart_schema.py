"""Writes the `settings` blocks of charts/apps/values.schema.json from the services' settings classes.

A block offers every field that the chart does not set itself: its type, its bounds, its words, and as description the
docstring under it. `make chart-schema` runs this; tests/unit/local/test_chart_schema.py holds the file to it.
To add a service: a line in SERVICES, and its `settings` in values.schema.json.
"""

import ast
import importlib
import inspect
import json
import re
import sys
import textwrap
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from pydantic_settings import BaseSettings
from tapeline.enums import MarketType

from tapeline_local import paths

CHART: Final = paths.CHECKOUT / "charts" / "apps"
FILE: Final = CHART / "values.schema.json"
COMMAND: Final = "make chart-schema"
# Key of the chart's values -> module and class of its settings. By name: the services are no dependencies of this one.
SERVICES: Final = {
    "producer": "tapeline_producer.settings:Settings",
    "inference": "tapeline_inference.settings:Settings",
    "board": "tapeline_board.settings:Settings",
    "notifier": "tapeline_notifier.settings:Settings",
    "trainer": "tapeline_trainer.settings:Settings",
    "simulator": "tapeline_simulator.settings:Settings",
    "bootstrap": "tapeline_spark.settings:BootstrapSettings",
    "spark": "tapeline_spark.settings:Settings",
}
# Fields that have no meaning in a cluster.
ONLY_ELSEWHERE: Final = {"board": {"static"}, "trainer": {"trades", "kubeconfig"}}
# Lists of text whose words are those of an enum.
_LISTS: Final[dict[str, type[StrEnum]]] = {"market_types": MarketType}
_BOUNDS: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "pattern")


def settings_class(service: str) -> type[BaseSettings]:
    """Return the settings class of a service of the chart."""
    module, _, name = SERVICES[service].partition(":")
    found: type[BaseSettings] = getattr(importlib.import_module(module), name)
    return found


def set_by_chart(prefix: str, templates: Path = CHART / "templates") -> set[str]:
    """Return the fields, in lower case, whose variables stand in a template: with the prefix, or after `.prefix`."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(templates.rglob("*")) if path.is_file())
    names = re.findall(rf"\b{prefix}([A-Z0-9_]+)|\{{\{{-? \.prefix \}}\}}([A-Z0-9_]+)", text)
    return {(own or shared).lower() for own, shared in names}


def descriptions(model: type) -> dict[str, str]:
    """Return the docstring under each field, of the class and of those it inherits from."""
    found: dict[str, str] = {}
    for owner in reversed(model.__mro__):
        if not inspect.get_annotations(owner) or owner.__module__.partition(".")[0].startswith("pydantic"):
            continue
        (node,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
        body = node.body if isinstance(node, ast.ClassDef) else []
        for field, after in pairwise(body):
            if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
                continue
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                found[field.target.id] = inspect.cleandoc(str(after.value.value))
    return found


def block(model: type[BaseSettings], left_out: set[str]) -> dict[str, Any]:
    """Return the schema of a service's `settings`, without the fields left out.

    Raises:
        ValueError: a field is of a type that has no form in a chart's values.
    """
    schema = model.model_json_schema()
    texts = descriptions(model)
    properties = {
        name: {
            **({"description": texts[name]} if name in texts else {}),
            **_value(name, schema["properties"][name], schema),
        }
        for name in model.model_fields
        if name not in left_out
    }
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _value(name: str, field: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Return what a chart's value of this field may be; a list is text, as in its environment variable."""
    choices = [choice for choice in field.get("anyOf", [field]) if choice.get("type") != "null"]
    if len(choices) != 1:
        raise ValueError(
            f"{name} was {field}; a value of a chart is of one type: give the field one, or None beside it"
        )
    given = _resolved(choices[0], schema)
    if "const" in given or "enum" in given:
        return {"enum": given.get("enum", [given.get("const")])}
    if given.get("type") == "array":
        words = _resolved(given.get("items", {}), schema).get("enum", list(_LISTS.get(name, ())))
        return {"type": "string", **({"pattern": _list_of(words)} if words else {})}
    if given.get("type") not in ("string", "integer", "number", "boolean"):
        raise ValueError(f"{name} was {given}; a setting is text, a number, or yes or no: make it one of them")
    return {"type": given["type"], **{bound: given[bound] for bound in _BOUNDS if bound in given}}


def _resolved(given: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Return a type, looked up where it is an enum class."""
    reference = given.get("$ref")
    return schema["$defs"][reference.rpartition("/")[2]] if reference else given


def _list_of(words: list[str]) -> str:
    word = f"({'|'.join(words)})"
    return rf"^\s*{word}\s*(,\s*{word}\s*)*$"


def generated(current: str) -> str:
    """Return the text of the schema file with its `settings` blocks made anew, all else as it is."""
    schema = json.loads(current)
    for service in SERVICES:
        model = settings_class(service)
        made = set_by_chart(str(model.model_config["env_prefix"]))
        left_out = made | ONLY_ELSEWHERE.get(service, set())
        schema["properties"][service]["properties"]["settings"] = block(model, left_out)
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the file, where it differs."""
    current = FILE.read_text(encoding="utf-8")
    text = generated(current)
    if text != current:
        FILE.write_text(text, encoding="utf-8")
    name = FILE.relative_to(paths.CHECKOUT)
    sys.stdout.write(f"{name}: {'as it was' if text == current else 'written'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

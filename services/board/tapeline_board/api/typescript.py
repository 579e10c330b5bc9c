"""The front end's types, written from the schemas: `python -m tapeline_board.api.typescript > web/src/told.ts`.

Pure but for its main. A unit test holds the file against what this writes.
"""

import sys
from typing import Any, Final, get_args

from tapeline_board.api.schemas import judgement, market
from tapeline_board.api.schemas.market import Told

HEADER: Final = """// Written by `python -m tapeline_board.api.typescript` from the schemas of the board. Do not edit.
// Times are ms UTC. A number that nobody knows is null, never zero.
"""
ALIASES: Final[dict[str, Any]] = {
    "MarketType": market.MarketType,
    "Side": market.Side,
    "PredictionState": market.PredictionState,
    "EventName": market.EventName,
    "BookState": judgement.BookState,
}


def _models() -> list[type[Told]]:
    found = [*vars(market).values(), *vars(judgement).values()]
    models = [m for m in found if isinstance(m, type) and issubclass(m, Told) and m is not Told]
    return list(dict.fromkeys(models))


def type_of(schema: dict[str, Any]) -> str:
    """Return the TypeScript type of a JSON schema.

    Raises:
        ValueError: the schema is of a form that no answer has had so far.
    """
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[1]
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(type_of(one) for one in schema["anyOf"]))
    if "const" in schema:
        return _literal(schema["const"])
    if "enum" in schema:
        return " | ".join(_literal(value) for value in schema["enum"])
    kind = schema.get("type")
    if kind == "array":
        item = type_of(schema["items"])
        return f"({item})[]" if " " in item else f"{item}[]"
    if kind == "object":
        keys = type_of(schema["propertyNames"]) if "propertyNames" in schema else "string"
        return f"Partial<Record<{keys}, {type_of(schema['additionalProperties'])}>>"
    plain = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean", "null": "null"}
    if kind not in plain:
        raise ValueError(f"schema was {schema}; teach typescript.py this form")
    return plain[kind]


def _literal(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def written() -> str:
    """Return the whole file."""
    parts = [HEADER]
    for name, alias in ALIASES.items():
        values = get_args(alias)
        parts.append(f"export type {name} = {' | '.join(_literal(value) for value in values)};\n")
    for model in _models():
        properties = model.model_json_schema(mode="serialization")["properties"]
        rows = [f"  {name}: {type_of(schema)};" for name, schema in properties.items()]
        parts.append(f"export interface {model.__name__} {{\n" + "\n".join(rows) + "\n}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(written())

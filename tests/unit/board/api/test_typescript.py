"""The front end's types match the schemas; the front end's own tests run here too."""

import pytest
from tapeline_board.api import typescript
from tapeline_local.setup import frontend, node


def test_the_generated_types_match_the_schemas():
    types = (frontend.WEB / "src" / "api.ts").read_text(encoding="utf-8")
    command = "python -m tapeline_board.api.typescript > services/board/web/src/api.ts"
    assert types == typescript.generate(), f"run: {command}"


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "integer"}, "number"),
        ({"anyOf": [{"type": "number"}, {"type": "integer"}, {"type": "null"}]}, "number | null"),
        ({"type": "array", "items": {"anyOf": [{"type": "number"}, {"type": "null"}]}}, "(number | null)[]"),
        ({"type": "array", "items": {"$ref": "#/$defs/Row"}}, "Row[]"),
        ({"enum": ["a", 1]}, '"a" | 1'),
        ({"const": 0}, "0"),
        ({"anyOf": [{"$ref": "#/$defs/Side"}, {"type": "null"}]}, "Side | null"),
        (
            {"type": "object", "propertyNames": {"enum": ["a"]}, "additionalProperties": {"type": "integer"}},
            'Partial<Record<"a", number>>',
        ),
    ],
)
def test_each_form_of_a_schema_has_a_type(schema, expected):
    assert typescript.type_of(schema) == expected


@pytest.mark.parametrize("name", typescript.ENUMS)
def test_a_union_has_the_values_of_the_enum(name):
    enum = typescript.ENUMS[name]
    listed = ", ".join(f'"{member.value}"' for member in enum)
    assert f"export const {name} = [{listed}] as const;" in typescript.generate()
    assert f"export type {enum.__name__} = (typeof {name})[number];" in typescript.generate()


def test_every_enum_of_a_response_has_a_union():
    defined = {enum.__name__ for enum in typescript.ENUMS.values()}
    for model in typescript._models():
        definitions = model.model_json_schema(mode="serialization").get("$defs", {})
        assert {name for name, schema in definitions.items() if "enum" in schema} <= defined


def test_an_unknown_form_of_a_schema_raises():
    with pytest.raises(ValueError, match="teach"):
        typescript.type_of({"type": "file"})


def test_the_front_ends_own_tests_pass():
    tests = sorted(str(path) for path in (frontend.WEB / "test").glob("*.test.ts"))
    assert len(tests) > 3
    node.run(["--test", *tests], frontend.WEB)


@pytest.mark.parametrize("path", sorted((frontend.WEB / "src").rglob("*.*s")), ids=lambda path: path.name)
def test_a_source_of_the_front_end_is_short(path):
    """Messages and generated types are lists, and may be longer."""
    limit = 1_000 if path.name in ("i18n.ts", "api.ts") else 300
    assert len(path.read_text(encoding="utf-8").splitlines()) <= limit

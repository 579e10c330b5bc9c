"""The front end's types are those of the schemas; the front end's own tests run here too."""

import pytest
from tapeline_board.api import typescript
from tapeline_local.setup import frontend, node


def test_the_front_end_knows_the_schemas_as_they_are():
    told = (frontend.WEB / "src" / "told.ts").read_text(encoding="utf-8")
    assert told == typescript.written(), "run: python -m tapeline_board.api.typescript > services/board/web/src/told.ts"


@pytest.mark.parametrize(
    ("schema", "written"),
    [
        ({"type": "integer"}, "number"),
        ({"anyOf": [{"type": "number"}, {"type": "integer"}, {"type": "null"}]}, "number | null"),
        ({"type": "array", "items": {"anyOf": [{"type": "number"}, {"type": "null"}]}}, "(number | null)[]"),
        ({"type": "array", "items": {"$ref": "#/$defs/Row"}}, "Row[]"),
        ({"enum": ["a", 1]}, '"a" | 1'),
        ({"const": 0}, "0"),
        (
            {"type": "object", "propertyNames": {"enum": ["a"]}, "additionalProperties": {"type": "integer"}},
            'Partial<Record<"a", number>>',
        ),
    ],
)
def test_each_form_of_a_schema_has_its_type(schema, written):
    assert typescript.type_of(schema) == written


def test_a_form_that_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="teach"):
        typescript.type_of({"type": "file"})


def test_the_front_ends_own_tests_pass():
    tests = sorted(str(path) for path in (frontend.WEB / "test").glob("*.test.ts"))
    assert len(tests) > 3
    node.run(["--test", *tests], frontend.WEB)


@pytest.mark.parametrize("path", sorted((frontend.WEB / "src").rglob("*.*s")), ids=lambda path: path.name)
def test_a_source_of_the_front_end_can_be_read_in_one_sitting(path):
    """As in Python, where one of 4,000 lines was changed by nobody without fear; words and types are lists."""
    limit = 1_000 if path.name in ("words.ts", "told.ts") else 300
    assert len(path.read_text(encoding="utf-8").splitlines()) <= limit

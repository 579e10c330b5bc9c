import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from jsonschema import Draft7Validator
from pydantic import BaseModel, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from tapeline import enums
from tapeline_local.cluster import chart_schema
from tapeline_local.cluster.chart_schema import COMMAND, FILE, SERVICES


def test_the_schema_of_the_chart_is_what_the_settings_classes_say():
    current = FILE.read_text()
    assert chart_schema.generated(current) == current, f"settings changed: run `{COMMAND}`"


def test_whatever_was_changed_by_hand_in_a_settings_block_is_made_anew():
    schema = json.loads(FILE.read_text())
    schema["properties"]["producer"]["properties"]["settings"]["properties"]["top"] = {"type": "string"}
    del schema["properties"]["spark"]["properties"]["settings"]["properties"]["queries"]
    assert chart_schema.generated(json.dumps(schema)) == FILE.read_text()


def test_the_command_writes_the_file_and_then_leaves_it_as_it_is(tmp_path, monkeypatch, capsys):
    file = tmp_path / "values.schema.json"
    file.write_text(FILE.read_text().replace("integer", "number"))
    monkeypatch.setattr(chart_schema, "FILE", file)
    monkeypatch.setattr(chart_schema.paths, "CHECKOUT", tmp_path)
    assert (chart_schema.main(), chart_schema.main()) == (0, 0)
    assert capsys.readouterr().out.splitlines() == ["values.schema.json: written", "values.schema.json: as it was"]


def test_make_runs_this_module():
    makefile = (FILE.parents[2] / "Makefile").read_text()
    (_, target) = COMMAND.split()
    assert f"\n{target}: $(STAMP) ##" in makefile
    assert "-m tapeline_local.cluster.chart_schema\n" in makefile


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Base(BaseModel):
    host: str | None = None
    """From the base."""


class Example(Base, BaseSettings):
    model_config = SettingsConfigDict(env_prefix="EXAMPLE_")

    count: int = Field(default=1, ge=1, le=9)
    """How many."""
    ratio: Annotated[float, Field(gt=0, lt=1)] | None = None
    on: bool = False
    """Two
    lines."""
    folder: Path = Path("x")
    mode: Literal["a", "b"] = "a"
    only: Literal["a"] = "a"
    colour: Colour = Colour.RED
    colours: Annotated[tuple[Colour, ...], NoDecode] = ()
    market_types: Annotated[tuple[str, ...], NoDecode] = ()
    words: Annotated[tuple[str, ...], NoDecode] = ()
    group: str | None = Field(default=None, min_length=1)
    name: Annotated[str, Field(pattern="^[a-z]+$")] = "a"
    port: int = 1


def test_each_kind_of_field_becomes_the_value_that_its_variable_takes():
    made = chart_schema.block(Example, {"port"})
    assert made["additionalProperties"] is False
    assert made["properties"] == {
        "host": {"description": "From the base.", "type": "string"},
        "count": {"description": "How many.", "type": "integer", "minimum": 1, "maximum": 9},
        "ratio": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "on": {"description": "Two\nlines.", "type": "boolean"},
        "folder": {"type": "string"},
        "mode": {"enum": ["a", "b"]},
        "only": {"enum": ["a"]},
        "colour": {"enum": ["red", "blue"]},
        "colours": {"type": "string", "pattern": r"^\s*(red|blue)\s*(,\s*(red|blue)\s*)*$"},
        "market_types": {"type": "string", "pattern": r"^\s*(spot|linear|inverse)\s*(,\s*(spot|linear|inverse)\s*)*$"},
        "words": {"type": "string"},
        "group": {"type": "string", "minLength": 1},
        "name": {"type": "string", "pattern": "^[a-z]+$"},
    }


class Mixed(BaseSettings):
    either: int | str = 1


class Nested(BaseSettings):
    table: dict[str, int] = {}


@pytest.mark.parametrize(("model", "field"), [(Mixed, "either"), (Nested, "table")])
def test_a_field_that_no_value_of_a_chart_can_hold_is_refused_by_name(model, field):
    with pytest.raises(ValueError, match=f"^{field} was "):
        chart_schema.block(model, set())


def test_variables_of_the_templates_are_found_with_the_prefix_and_behind_one_that_is_passed_in(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.yaml").write_text('A_HOST: x\n- {name: A_PORT, value: "1"}\nBA_OTHER: x\n')
    (tmp_path / "b.tpl").write_text("{{ .prefix }}KAFKA_USER: x\n{{- .prefix }}KAFKA_CA: x\n")
    assert chart_schema.set_by_chart("A_", tmp_path) == {"host", "port", "kafka_user", "kafka_ca"}


def schema_of(service: str) -> dict[str, Any]:
    schema = json.loads(FILE.read_text())
    found: dict[str, Any] = schema["properties"][service]["properties"]["settings"]
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_the_defaults_of_a_service_are_values_that_its_schema_takes(service):
    model, schema = chart_schema.settings_class(service), schema_of(service)
    defaults = {name: model.model_fields[name].get_default() for name in schema["properties"]}
    given = {
        name: ",".join(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value
        for name, value in defaults.items()
        if value is not None
    }
    assert len(given) > 0
    Draft7Validator(schema).validate(given)


@pytest.mark.parametrize("value", ["futures", "spot,futures", "", "spot linear", "Spot"])
def test_unknown_markets_are_refused(value):
    validator = Draft7Validator(schema_of("producer"))
    assert validator.is_valid({"market_types": ", ".join(enums.MarketType)})
    assert not validator.is_valid({"market_types": value})

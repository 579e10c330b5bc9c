import json
from pathlib import Path

import pytest
from tapeline_local.errors import SetupError
from tapeline_local.setup import schemas
from tapeline_local.setup.jvm import Jvm

DEFINITIONS = """
apiVersion: v1
kind: Namespace
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
spec:
  group: example.org
  names: {kind: Thing}
  versions:
    - {name: v1, served: true, schema: {openAPIV3Schema: {type: object}}}
    - {name: v1beta1, served: false, schema: {openAPIV3Schema: {type: object}}}
"""


def java(tmp_path: Path, script: str) -> Jvm:
    """A Java that is a shell script."""
    program = tmp_path / "java" / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return Jvm("found", str(tmp_path / "java"), str(tmp_path / "java"), 25, [])


@pytest.fixture
def tools(tmp_path) -> Path:
    """A folder of tools with the definitions of one operator."""
    (tmp_path / "crds").mkdir()
    (tmp_path / "crds" / "operator.yaml").write_text(DEFINITIONS)
    (tmp_path / "crds" / schemas.KUBERNETES).write_text(json.dumps({"$defs": {"io.k8s.Pod": {"type": "object"}}}))
    (tmp_path / "jars" / "strimzi").mkdir(parents=True)
    (tmp_path / "jars" / "strimzi" / "api.jar").write_bytes(b"jar")
    return tmp_path


# An option of Java such as -XX:TieredStopAtLevel=1 names no file.
MAKES_FILES = 'for word; do case $word in -*) ;; *=*) : > "${word#*=}";; esac; done; echo run >> "$0.log"'


def test_only_versions_that_are_served_count():
    assert schemas.custom(DEFINITIONS) == {"example.org/v1/Thing": {"type": "object"}}


def test_both_kinds_of_schemas_are_written_and_rebuilt_only_after_a_change(tools):
    made_by = java(tools, MAKES_FILES)
    log = Path(made_by.java_home) / "bin" / "java.log"
    schemas.write(made_by, tools, lambda _: None)
    schemas.write(made_by, tools, lambda _: None)
    assert log.read_text().split() == ["run"]
    written = json.loads((tools / "schemas.json").read_text())
    assert set(written["kubernetes"]) == {"io.k8s.Pod"}
    assert set(written["custom"]) == {"example.org/v1/Thing"}
    (tools / "jars" / "strimzi" / "api.jar").write_bytes(b"another")
    schemas.write(made_by, tools, lambda _: None)
    assert log.read_text().split() == ["run", "run"]


def test_missing_schemas_of_kubernetes_are_reported_and_nothing_is_built(tools):
    (tools / "crds" / schemas.KUBERNETES).unlink()
    lines: list[str] = []
    schemas.write(java(tools, MAKES_FILES), tools, lines.append)
    assert not (tools / "schemas.json").exists()
    assert lines


def test_a_generator_that_fails_is_quoted(tools):
    with pytest.raises(SetupError, match="UnsupportedClassVersionError"):
        schemas.strimzi_definitions(
            java(tools, "echo UnsupportedClassVersionError >&2; exit 1"), tools / "jars" / "strimzi"
        )

"""Class archives with a Java that is a shell script; the real ones are used by every stack test."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tapeline_local.setup import class_archives
from tapeline_local.setup.jvm import Jvm

# Writes the archive it was asked for; as a broker it says that it has started, and waits to be stopped.
WRITES = r"""
for word; do case "$word" in -XX:ArchiveClassesAtExit=*) draft="${word#*=}";; esac; done
case "$*" in *kafka.Kafka*)
  trap 'echo classes > "$draft"; exit 143' TERM
  echo run >> "$0.log"
  echo "Kafka Server started"
  while :; do sleep 0.05; done;;
esac
"""


@pytest.fixture
def jars(tmp_path: Path) -> Path:
    for kind in ("kafka", "spark"):
        (tmp_path / "jars" / kind).mkdir(parents=True)
        (tmp_path / "jars" / kind / "a.jar").write_bytes(b"jar")
    return tmp_path / "jars"


@pytest.fixture
def java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Jvm]:
    """Makes a Java that is a shell script, for Kafka alone."""
    monkeypatch.setattr(class_archives, "_PROGRAMS", {"kafka": class_archives._run_kafka})

    def make(script: str) -> Jvm:
        program = tmp_path / "java" / "bin" / "java"
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return Jvm("found", str(tmp_path / "java"), str(tmp_path / "java"), 25, ())

    return make


def test_an_archive_is_written_once_and_again_when_a_jar_changed(java, jars, tmp_path):
    made_by, folder, said = java(WRITES), tmp_path / "classes", []
    log = Path(made_by.java_home) / "bin" / "java.log"
    class_archives.write_missing(made_by, jars, folder, said.append)
    class_archives.write_missing(made_by, jars, folder, said.append)
    assert log.read_text().split() == ["run"]
    assert class_archives.existing(folder) == {"kafka": folder / "kafka.jsa"}
    assert (folder / "kafka.jsa").read_text() == "classes\n"
    (jars / "kafka" / "a.jar").write_bytes(b"another")
    class_archives.write_missing(made_by, jars, folder, said.append)
    assert log.read_text().split() == ["run", "run"]
    assert {path.name for path in folder.iterdir()} == {"kafka.jsa", "kafka.stamp"}
    assert [line.split(",")[0] for line in said] == ["class archives: kafka"] * 2


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo no space; exit 1", "the format of Kafka's folder ended with exit code 1: no space"),
        (WRITES.replace('echo classes > "$draft"; ', ""), "Java 25 wrote none; does it lack its own"),
        (
            WRITES.replace("Kafka Server started", "port is taken; exit 7").replace("while", "exit 7; while"),
            "exit code 7",
        ),
    ],
)
def test_a_java_that_writes_none_is_reported_and_everything_goes_on(java, jars, tmp_path, script, reason):
    said: list[str] = []
    class_archives.write_missing(java(script), jars, tmp_path / "classes", said.append)
    assert reason in said[0]
    assert "it starts slower without" in said[0]
    assert said[1].startswith("class archives: none")
    assert class_archives.existing(tmp_path / "classes") == {}
    class_archives.write_missing(java(script), jars, tmp_path / "classes", said.append)
    assert len(said) == 2, "not tried again with the same inputs"

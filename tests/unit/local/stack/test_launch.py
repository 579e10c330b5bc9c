import json
import subprocess
import sys
from pathlib import Path

from tapeline_local.stack import launch

SHOW = "import json, os; print(json.dumps([dict(os.environ), os.getcwd()]))"


def run(file: Path, env: dict[str, str]) -> tuple[dict[str, str], str]:
    command = [sys.executable, "-m", "tapeline_local.stack.launch", str(file)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    environment, folder = json.loads(done.stdout)
    return environment, folder


def test_a_part_gets_its_own_environment_over_the_inherited_one(tmp_path):
    part = launch.Launch((sys.executable, "-c", SHOW), {"OURS": "new"}, str(tmp_path))
    launch.write(tmp_path / "p.json", part, tmp_path, "kafka")
    environment, folder = run(tmp_path / "p.json", {"OURS": "old", "KEPT": "yes", "SPARK_HOME": "/astray"})
    assert (environment["OURS"], environment["KEPT"], folder) == ("new", "yes", str(tmp_path))
    assert "SPARK_HOME" not in environment
    assert (environment["TAPELINE_STACK"], environment["TAPELINE_PART"]) == (str(tmp_path), "kafka")


def test_first_time_work_is_done_once(tmp_path):
    made = tmp_path / "made"
    first = (sys.executable, "-c", f"open({str(made)!r}, 'a').write('x')")
    part = launch.Launch((sys.executable, "-c", SHOW), {}, str(tmp_path), None, first, str(made))
    launch.write(tmp_path / "p.json", part, tmp_path, "kafka")
    for _ in range(2):
        run(tmp_path / "p.json", {})
    assert made.read_text() == "x"


def test_a_written_launch_is_read_back_with_the_marks_of_its_stack(tmp_path):
    part = launch.Launch(("/bin/true", "a b"), {"A": "1"}, "/", 65534, ("/bin/false",), "/made")
    launch.write(tmp_path / "p.json", part, Path("/state"), "elasticsearch")
    read = launch.read(tmp_path / "p.json")
    marks = {"TAPELINE_STACK": "/state", "TAPELINE_PART": "elasticsearch"}
    assert read == launch.Launch(part.argv, part.env | marks, "/", 65534, part.init_argv, part.init_creates)

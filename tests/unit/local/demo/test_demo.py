"""Settings of the demo, and what a refused demo leaves alone."""

import subprocess
import sys

import pytest
from rich.console import Console
from tapeline_local import paths
from tapeline_local.demo.__main__ import Demo
from tapeline_local.demo.settings import DemoSettings
from tapeline_local.errors import StackInUse

HOLD = """
import pathlib, sys
from tapeline_local.stack.lock import StateLock
assert StateLock(pathlib.Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_the_notifier_of_the_demo_gets_its_targets(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "STATES", tmp_path)
    monkeypatch.setenv("NOTIFIER_TARGETS", "targets.yaml")
    monkeypatch.chdir(tmp_path)
    stack = Demo(DemoSettings(), Console(quiet=True))._stack
    assert "notifier" in stack.parts
    saved = stack.state.prepare(("notifier",), stack.options)
    launch = (stack.state.run / "notifier.json").read_text()
    assert saved.options.notifier_targets == tmp_path / "targets.yaml"
    assert f'"NOTIFIER_TARGETS": "{tmp_path / "targets.yaml"}"' in launch


def test_a_refused_demo_does_not_stop_the_running_stack_of_that_name(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "STATES", tmp_path)
    monkeypatch.setenv("NAME", "mine")
    command = [sys.executable, "-c", HOLD, str(tmp_path / "mine" / "run" / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StackInUse, match=f"process {holder.pid}"):
            Demo(DemoSettings(), Console(quiet=True)).run()
        assert holder.poll() is None
        holder.kill()

import subprocess
import sys

from tapeline_local.stack.lock import StateLock

HOLD = """
import pathlib, sys
from tapeline_local.stack.lock import StateLock
assert StateLock(pathlib.Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_nobody_holds_a_lock_that_was_never_taken(tmp_path):
    assert StateLock(tmp_path / "lock").holder() is None


def test_a_lock_names_its_holder_and_ends_with_it_however_it_ends(tmp_path):
    lock = StateLock(tmp_path / "run" / "lock")
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run" / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert lock.holder() == holder.pid
        assert not lock.acquire()
        holder.kill()
    assert lock.holder() is None
    assert lock.acquire()
    lock.release()

"""`python -m tapeline_local.stack.supervisord CONF LOCK [--tethered]`: supervisord, for one state folder.

The process holds the folder's lock while it runs. With --tethered it also reads its standard input, a pipe from the
program that started the stack: when that program ends in any way, kill -9 included, the pipe closes and all parts are
stopped in order. (A parent-death signal also fires when only the *thread* ends that created the child, and exists on
Linux only.)
"""

import os
import signal
import sys
import threading
from pathlib import Path

from supervisor import supervisord

from tapeline_local.stack.lock import StateLock
from tapeline_local.stack.supervision import LOCKED_EXIT_CODE


def _stop_at_end_of_input() -> None:
    # Not sys.stdin: a thread that holds its lock aborts the interpreter at exit.
    while os.read(0, 1):
        continue
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> int:
    """Run until SIGTERM; exit code 3 when another process holds the lock of the folder."""
    configuration, lock_path, *flags = sys.argv[1:]
    lock = StateLock(Path(lock_path))
    if not lock.acquire():
        return LOCKED_EXIT_CODE
    if "--tethered" in flags:
        threading.Thread(target=_stop_at_end_of_input, name="tether", daemon=True).start()
    supervisord.main(["-c", configuration])
    return 0


if __name__ == "__main__":
    sys.exit(main())

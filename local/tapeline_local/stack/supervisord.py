"""`python -m tapeline_local.stack.supervisord CONF LOCK [--tethered]`: supervisord, for one state folder.

It holds the folder's lock for as long as it lives. Tethered, it also reads its standard input, a pipe whose other
end is held by the program that started the stack: when that program ends in any way, kill -9 included, the pipe
closes and everything is stopped in order. (A parent-death signal would do so too when only the *thread* ends
that made the child, and exists on Linux only.)
"""

import os
import signal
import sys
import threading
from pathlib import Path

from supervisor import supervisord

from tapeline_local.stack.lock import StateLock


def _stop_at_end_of_input() -> None:
    # Not sys.stdin: a thread inside its lock aborts the interpreter when that ends.
    while os.read(0, 1):
        continue
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> int:
    """Run until told to stop; exit code 3 when the folder is another's."""
    configuration, lock_path, *flags = sys.argv[1:]
    lock = StateLock(Path(lock_path))
    if not lock.acquire():
        return 3
    if "--tethered" in flags:
        threading.Thread(target=_stop_at_end_of_input, name="tether", daemon=True).start()
    supervisord.main(["-c", configuration])
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Finds and kills leftover processes of a stack.

Every process of a stack and its children carry `TAPELINE_STACK=<state folder>` in their environment; no other
process is touched.
"""

import contextlib
import os

import psutil

STACK_VARIABLE = "TAPELINE_STACK"
PART_VARIABLE = "TAPELINE_PART"
_WAIT_S = 10.0


def find_marked(stack: str, part: str | None = None) -> list[psutil.Process]:
    """Return the running processes of a stack, or of one part of it, without the caller and its ancestors."""
    me = psutil.Process()
    own = {me.pid, *(parent.pid for parent in me.parents())}
    processes = []
    for process in psutil.process_iter():
        if process.pid in own:
            continue
        # A process may have ended, belong to another user, or be a zombie.
        with contextlib.suppress(psutil.Error, OSError):
            environment = process.environ()
            is_part = part is None or environment.get(PART_VARIABLE) == part
            if environment.get(STACK_VARIABLE) == stack and is_part:
                processes.append(process)
    return processes


def kill_marked(stack: str, part: str | None = None) -> list[str]:
    """Kill the processes of `find_marked` and wait until they are gone.

    Returns:
        "name (pid)" of each that was killed.
    """
    killed = []
    processes = find_marked(stack, part)
    for process in processes:
        with contextlib.suppress(psutil.Error):
            label = f"{process.name()} ({process.pid})"
            process.kill()
            killed.append(label)
    psutil.wait_procs(processes, timeout=_WAIT_S)
    return killed


def own_environment() -> dict[str, str]:
    """Return the environment this process was started with."""
    return psutil.Process().environ()


def tree_rss_mib(pid: int) -> int:
    """Return the resident memory of a process and all below it, MiB; 0 if the process is gone."""
    total = 0
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
    return total >> 20


def signal_group(pid: int, signal_number: int) -> None:
    """Send a signal to a part's whole process group.

    Raises:
        ProcessLookupError: the process is gone.
    """
    os.killpg(os.getpgid(pid), signal_number)

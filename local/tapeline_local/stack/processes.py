"""Finds and ends what a stack left behind.

Every process of a stack carries `TAPELINE_STACK=<state folder>` in its environment, and so do all its
children; no other process is ever touched.
"""

import contextlib
import os

import psutil

STACK_VARIABLE = "TAPELINE_STACK"
PART_VARIABLE = "TAPELINE_PART"
_WAIT_S = 10.0


def marked(stack: str, part: str | None = None) -> list[psutil.Process]:
    """Return the running processes of a stack, or of one part of it, without the caller and its ancestors."""
    me = psutil.Process()
    own = {me.pid, *(parent.pid for parent in me.parents())}
    found = []
    for process in psutil.process_iter():
        if process.pid in own:
            continue
        # It may have ended meanwhile, or belong to another user, or be a zombie.
        with contextlib.suppress(psutil.Error, OSError):
            environment = process.environ()
            is_part = part is None or environment.get(PART_VARIABLE) == part
            if environment.get(STACK_VARIABLE) == stack and is_part:
                found.append(process)
    return found


def sweep(stack: str, part: str | None = None) -> list[str]:
    """Kill the marked processes and wait until they are gone.

    Returns:
        "name (pid)" of each that was killed.
    """
    killed = []
    processes = marked(stack, part)
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
    """Return the resident memory of a process and all below it, MiB; 0 if it is gone."""
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
        ProcessLookupError: it is gone.
    """
    os.killpg(os.getpgid(pid), signal_number)

"""Chooses the TCP ports of a stack; a saved port is kept while it is free.

Ports lie below the ephemeral range (32768 and up on Linux): an outgoing connection can take a port of that range while
its server restarts.
"""

import json
import random
import socket
from pathlib import Path
from typing import Final

USES: Final = (
    "kafka",
    "kafka_controller",
    "kafka_exposed",
    "elasticsearch",
    "elasticsearch_transport",
    "inference",
    "board",
    "simulator",
    "spark_health",
    "notifier_health",
    "producer_health",
)
_LOWEST, _HIGHEST = 18_000, 32_000
_TRIES = 200


def is_free(port: int) -> bool:
    """Return whether a server can listen on a port of the loopback address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port in TIME_WAIT after a restart counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_port(taken: set[int]) -> int:
    """Return a free port outside `taken`.

    Raises:
        OSError: none found in many tries.
    """
    for _ in range(_TRIES):
        port = random.randint(_LOWEST, _HIGHEST)
        if port not in taken and is_free(port):
            return port
    raise OSError(f"no free port between {_LOWEST} and {_HIGHEST} in {_TRIES} tries; close other servers")


def uses(producers: int = 1) -> tuple[str, ...]:
    """Return the port uses of a stack with that number of producers."""
    return (*USES, *(f"producer-{number}_health" for number in range(2, producers + 1)))


def choose(saved: dict[str, int], producers: int = 1) -> dict[str, int]:
    """Return a port for every use: the saved one if it is free, else a new one."""
    chosen: dict[str, int] = {}
    for use in uses(producers):
        port = saved.get(use)
        usable = port is not None and port not in chosen.values() and is_free(port)
        taken = {*chosen.values(), *saved.values()}
        chosen[use] = port if usable and port is not None else free_port(taken)
    return chosen


def load(path: Path) -> dict[str, int]:
    """Return the saved ports, empty if there is no file."""
    if not path.exists():
        return {}
    return {use: int(port) for use, port in json.loads(path.read_text(encoding="utf-8")).items()}


def save(path: Path, ports: dict[str, int]) -> None:
    """Save the ports."""
    path.write_text(json.dumps(ports, indent=2) + "\n", encoding="utf-8")

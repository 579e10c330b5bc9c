"""supervisord's configuration, its log as events, and calls over its socket.

supervisord starts, restarts with back-off, stops and rotates logs.
Source: https://supervisord.org/configuration.html and /subprocess.html
"""

import contextlib
import os
import re
import shlex
import sys
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from supervisor.xmlrpc import SupervisorTransport

from tapeline_local.stack.options import kind_of

RUNNING: Final = "RUNNING"
STARTING: Final = "STARTING"
# States in which a part runs or supervisord restarts it.
ALIVE: Final = (RUNNING, STARTING, "BACKOFF")
# sun_path is 108 bytes on Linux, 104 on macOS, and supervisord binds a longer name (".PID") first.
MAX_SOCKET_PATH_BYTES: Final = 90


@dataclass(frozen=True)
class RestartPolicy:
    """Restart and stop policy of a part.

    Attributes:
        start_s: uptime in seconds after which a start counts as successful.
        stop_s: seconds between SIGTERM and SIGKILL.
        signals_group: SIGTERM goes to the whole process group, not only to the first process.
    """

    start_s: int
    stop_s: int
    signals_group: bool


# Spark's driver stops its own JVM and workers in order; a signal to the group would interrupt a batch.
RESTART_POLICIES: Final[dict[str, RestartPolicy]] = {
    "kafka": RestartPolicy(5, 30, True),
    "elasticsearch": RestartPolicy(5, 30, True),
    "inference": RestartPolicy(2, 15, True),
    "board": RestartPolicy(2, 10, True),
    # One request may be in flight.
    "notifier": RestartPolicy(2, 20, True),
    "spark": RestartPolicy(5, 40, False),
    "simulator": RestartPolicy(2, 10, True),
    # A replica that stops flushes, hands its shards over, and flushes the rest.
    "producer": RestartPolicy(2, 40, True),
}
START_RETRIES: Final = 5
LOCKED_EXIT_CODE: Final = 3
"""Of our supervisord when another process holds the lock of the state folder."""


def restart_policy(part: str) -> RestartPolicy:
    """Return the restart policy of a part; replicas share one."""
    return RESTART_POLICIES[kind_of(part)]


def _program(part: str, priority: int) -> str:
    policy = restart_policy(part)
    command = shlex.join([sys.executable, "-m", "tapeline_local.stack.launch", f"run/{part}.json"])
    return f"""
[program:{part}]
command={command.replace("%", "%%")}
priority={priority}
autostart=false
autorestart=true
startsecs={policy.start_s}
startretries={START_RETRIES}
stopsignal=TERM
stopwaitsecs={policy.stop_s}
stopasgroup={str(policy.signals_group).lower()}
killasgroup=true
redirect_stderr=true
stdout_logfile=logs/{part}.log
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=2
"""


def is_valid_socket_path(path: Path) -> bool:
    """Return whether supervisord.conf can hold a path as the name of a socket."""
    return len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES and not set(str(path)) & set("%; ")


def configuration(parts: tuple[str, ...], socket: Path, is_root: bool) -> str:
    """Return supervisord.conf, for a supervisord whose working folder is the state folder.

    Paths in it are relative: supervisord expands `%` in some of them once, in others twice.

    Args:
        parts: in start order; supervisord stops them in reverse order.
        socket: that supervisord listens on, see `is_valid_socket_path`.
        is_root: adds `user=root`, without which supervisord warns.
    """
    head = f"""[supervisord]
nodaemon=true
silent=true
nocleanup=true
identifier=tapeline
logfile=logs/supervisord.log
logfile_maxbytes=0
pidfile=run/supervisord.pid
{"user=root" if is_root else ""}

[unix_http_server]
file={socket}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""
    programs = (_program(part, number) for number, part in enumerate(parts, start=1))
    return head + "".join(programs)


@dataclass(frozen=True)
class Event:
    """A state change of a part.

    Attributes:
        part: its name.
        kind: "started", "running" (start successful), "died", "gave up" or "stopped" (on request).
        detail: supervisord's text, such as "terminated by SIGKILL; not expected".
        pid: of a start.
    """

    part: str
    kind: str
    detail: str = ""
    pid: int | None = None


# Lines of supervisord.log, after the date: INFO spawned: 'kafka' with pid 123
_SPAWNED = re.compile(r" INFO spawned: '(?P<part>[\w-]+)' with pid (?P<pid>\d+)$")
_ENDINGS = (
    ("died", re.compile(r" \w+ exited: (?P<part>[\w-]+) \((?P<detail>.*)\)$")),
    ("running", re.compile(r" INFO success: (?P<part>[\w-]+) (?P<detail>.*)$")),
    ("gave up", re.compile(r" \w+ gave up: (?P<part>[\w-]+) (?P<detail>.*)$")),
    ("stopped", re.compile(r" \w+ stopped: (?P<part>[\w-]+) \((?P<detail>.*)\)$")),
)


def parse_event(line: str) -> Event | None:
    """Return the event of a line of supervisord's log, None for other lines."""
    spawned = _SPAWNED.search(line)
    if spawned:
        return Event(spawned["part"], "started", pid=int(spawned["pid"]))
    for kind, pattern in _ENDINGS:
        match = pattern.search(line)
        if match:
            return Event(match["part"], kind, match["detail"])
    return None


def parse_events(text: str) -> list[Event]:
    """Return the events of whole lines of supervisord's log, oldest first."""
    return [event for event in map(parse_event, text.splitlines()) if event]


def read_events(log: Path, offset: int) -> tuple[list[Event], int]:
    """Return the events behind an offset of supervisord's log, and the offset behind the last whole line."""
    if not log.exists():
        return [], offset
    with log.open("rb") as file:
        file.seek(offset)
        text = file.read()
    whole = text[: text.rfind(b"\n") + 1]
    return parse_events(whole.decode(errors="replace")), offset + len(whole)


def call(socket: Path, method: str, *arguments: object) -> Any:
    """Call a method of supervisord's `supervisor` interface and return its result.

    Raises:
        OSError: no process listens on the socket.
        xmlrpc.client.Fault: supervisord refuses, see its `faultString`.
    """
    transport = SupervisorTransport(None, None, f"unix://{socket}")
    with contextlib.closing(transport):
        proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
        return getattr(proxy.supervisor, method)(*arguments)

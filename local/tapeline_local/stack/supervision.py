"""supervisord's side: its configuration, its log as events, and calls to it over its socket.

Starting, restarting with growing pauses, stopping and log rotation are supervisor's; nothing here does them again.
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
# States from which supervisord starts a part again by itself, or in which it runs.
ALIVE: Final = (RUNNING, STARTING, "BACKOFF")
# sun_path is 108 bytes on Linux, 104 on macOS, and supervisord binds a longer name (".PID") first.
LONGEST_SOCKET_PATH: Final = 90


@dataclass(frozen=True)
class Care:
    """How a part is looked after.

    Attributes:
        settled_s: seconds after which a start counts as having worked.
        stop_s: seconds between the polite signal and the kill.
        signals_group: the polite signal goes to all its processes, not only the first.
    """

    settled_s: int
    stop_s: int
    signals_group: bool


# Spark's driver stops its own JVM and workers in order; a signal to all at once would cut a batch short.
CARE: Final[dict[str, Care]] = {
    "kafka": Care(5, 30, True),
    "elasticsearch": Care(5, 30, True),
    "inference": Care(2, 15, True),
    "board": Care(2, 10, True),
    # One request may be under way.
    "notifier": Care(2, 20, True),
    "spark": Care(5, 40, False),
    "simulator": Care(2, 10, True),
    # Of several, one that stops hands its symbols over before: to flush, to be relieved and to flush the rest.
    "producer": Care(2, 40, True),
}
START_RETRIES: Final = 5


def care_of(part: str) -> Care:
    """Return how a part, or whatever it is a replica of, is looked after."""
    return CARE[kind_of(part)]


def _program(part: str, priority: int) -> str:
    care = care_of(part)
    command = shlex.join([sys.executable, "-m", "tapeline_local.stack.launch", f"run/{part}.json"])
    return f"""
[program:{part}]
command={command.replace("%", "%%")}
priority={priority}
autostart=false
autorestart=true
startsecs={care.settled_s}
startretries={START_RETRIES}
stopsignal=TERM
stopwaitsecs={care.stop_s}
stopasgroup={str(care.signals_group).lower()}
killasgroup=true
redirect_stderr=true
stdout_logfile=logs/{part}.log
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=2
"""


def is_plain(path: Path) -> bool:
    """Tell whether a path can stand in supervisord.conf as the name of a socket."""
    return len(os.fsencode(path)) <= LONGEST_SOCKET_PATH and not set(str(path)) & set("%; ")


def configuration(parts: tuple[str, ...], socket: Path, is_root: bool) -> str:
    """Return supervisord.conf, for a supervisord whose working folder is the state folder.

    Paths in it are relative: supervisord expands `%` in some of them once, in others twice.

    Args:
        parts: in starting order; supervisord stops them in the opposite one.
        socket: where it listens, see `is_plain`.
        is_root: say so in the file, or supervisord warns.
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
    """Something that happened to a part.

    Attributes:
        part: its name.
        kind: "started", "settled" (stayed up), "died", "gave up" or "stopped" (was asked to).
        detail: in supervisord's words, such as "terminated by SIGKILL; not expected".
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
    ("settled", re.compile(r" INFO success: (?P<part>[\w-]+) (?P<detail>.*)$")),
    ("gave up", re.compile(r" \w+ gave up: (?P<part>[\w-]+) (?P<detail>.*)$")),
    ("stopped", re.compile(r" \w+ stopped: (?P<part>[\w-]+) \((?P<detail>.*)\)$")),
)


def parse_event(line: str) -> Event | None:
    """Return the event that a line of supervisord's log tells, None for other lines."""
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
    """Call a method of supervisord's `supervisor` interface and return its answer.

    Raises:
        OSError: nobody listens on the socket.
        xmlrpc.client.Fault: supervisord refuses, see its `faultString`.
    """
    transport = SupervisorTransport(None, None, f"unix://{socket}")
    with contextlib.closing(transport):
        proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
        return getattr(proxy.supervisor, method)(*arguments)

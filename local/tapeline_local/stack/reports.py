"""Addresses and status of the parts of a stack. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tapeline_local.errors import StackError
from tapeline_local.stack import parts, processes, supervision
from tapeline_local.stack.options import kind_of
from tapeline_local.stack.state import SavedStack

# Parts whose port is that of their health server.
_WITH_HEALTH_PORT = ("spark", "producer", "notifier")


@dataclass(frozen=True)
class Addresses:
    """Addresses of the parts; each URL is a base URL without a trailing slash."""

    kafka: str
    elasticsearch: str
    inference: str
    board: str
    simulator: str
    spark: str
    notifier: str
    producers: tuple[str, ...]
    """One URL for each replica."""

    @property
    def producer(self) -> str:
        """URL of the first replica."""
        return self.producers[0]

    @staticmethod
    def from_ports(ports: dict[str, int]) -> "Addresses":
        """Return the addresses of a set of ports."""
        return Addresses(
            kafka=parts.bootstrap(ports),
            elasticsearch=parts.url(ports, "elasticsearch"),
            inference=parts.url(ports, "inference"),
            board=parts.url(ports, "board"),
            simulator=parts.url(ports, "simulator"),
            spark=parts.url(ports, "spark_health"),
            notifier=parts.url(ports, "notifier_health"),
            producers=tuple(parts.url(ports, use) for use in ports if is_producer(use)),
        )


def is_producer(use: str) -> bool:
    """Return whether a port is for the health server of a producer."""
    return use.endswith("_health") and kind_of(use.removesuffix("_health")) == "producer"


def exposed(saved: SavedStack) -> tuple[str, str]:
    """Return Kafka's bootstrap and Elasticsearch's URL at the exposed address.

    Raises:
        StackError: nothing is exposed.
    """
    host = saved.options.expose
    if host is None:
        raise StackError("expose was None; give StackOptions the address at which other machines reach this one")
    return f"{host}:{saved.ports['kafka_exposed']}", f"http://{host}:{saved.ports['elasticsearch']}"


@dataclass(frozen=True)
class PartStatus:
    """Status of a part, from supervisord and the operating system.

    Attributes:
        name: of the part.
        state: supervisord's state name, such as RUNNING, BACKOFF, FATAL, STOPPED.
        pid: of its first process; None when the part does not run.
        uptime_s: since its last start.
        port: that its users connect to.
        restarts: unexpected exits since the start of the stack.
        rss_mib: resident memory of all its processes.
    """

    name: str
    state: str
    pid: int | None
    uptime_s: int
    port: int
    restarts: int
    rss_mib: int


def part_status(
    part: str, info: Mapping[str, Any], events: Iterable[supervision.Event], ports: dict[str, int]
) -> PartStatus:
    """Return the status of a part.

    Args:
        part: its name.
        info: supervisord's getProcessInfo.
        events: all since the start of the stack.
        ports: by use.
    """
    pid = int(info["pid"]) or None
    return PartStatus(
        name=part,
        state=info["statename"],
        pid=pid,
        uptime_s=int(info["now"]) - int(info["start"]) if pid else 0,
        port=ports[parts.health_use(part) if kind_of(part) in _WITH_HEALTH_PORT else part],
        restarts=sum(1 for event in events if event.part == part and event.kind == "died"),
        rss_mib=processes.tree_rss_mib(pid) if pid else 0,
    )

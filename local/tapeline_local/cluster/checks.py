"""What must be so before minutes are spent on a cluster: tools, Docker, memory, cgroups."""

import json
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tapeline_local.cluster.errors import DockerAway, RegistryAway, TooLittle, ToolsMissing
from tapeline_local.cluster.shell import Shell

# Kafka 1.5, Elasticsearch 2, Kibana 1.5, operators 1.5, Kubernetes itself 1, Spark 2.5, our services 1, less than all
# at one time: below 8 GiB pods are killed for memory, and what one then sees looks like anything but that.
NEEDED_GIB = 8
_GIB = 2**30
_WHERE = {
    "docker": "https://docs.docker.com/engine/install/",
    "kind": "https://kind.sigs.k8s.io/docs/user/quick-start/#installation (version {KIND_VERSION})",
    "kubectl": "`make setup` brings it for Linux; else https://kubernetes.io/docs/tasks/tools/",
    "helm": "`make setup` brings it for Linux; else https://helm.sh/docs/intro/install/",
}
_PLAIN_REGISTRY = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d+)?")


@dataclass(frozen=True)
class Engine:
    """What Docker says of the machine it runs on, which need not be this one.

    Attributes:
        memory_bytes: of the machine, in all.
        cgroup_version: 1 or 2.
        version: of the engine.
    """

    memory_bytes: int
    cgroup_version: int
    version: str


def tools(names: Iterable[str], path: str, pins: dict[str, str]) -> None:
    """Find every program.

    Args:
        names: of the programs.
        path: the PATH to look on.
        pins: of versions.env.

    Raises:
        ToolsMissing: with all that are not there.
    """
    missing = {name: _WHERE[name].format(**pins) for name in names if shutil.which(name, path=path) is None}
    if missing:
        raise ToolsMissing(missing)


def engine(shell: Shell) -> Engine:
    """Return what the engine says of itself.

    Raises:
        DockerAway: it says nothing.
    """
    answer = shell.ask("docker", "info", "--format", "{{json .}}")
    try:
        facts: dict[str, Any] = json.loads(answer.text or "{}")
    except json.JSONDecodeError:
        facts = {}
    # An older client ends with 0 and puts the reason among the facts.
    if answer.code or facts.get("ServerErrors") or not facts.get("MemTotal"):
        raise DockerAway("; ".join(facts.get("ServerErrors") or []) or answer.reason or "no reason given")
    return Engine(int(facts["MemTotal"]), int(facts.get("CgroupVersion") or 1), str(facts.get("ServerVersion", "")))


def free_bytes(found: Engine, meminfo: Path = Path("/proc/meminfo")) -> int:
    """Return the memory that is free where the engine runs; all of it, where only that can be known.

    Args:
        found: the engine.
        meminfo: the kernel's account of this machine.
    """
    if not meminfo.exists():
        return found.memory_bytes
    here = {k: int(v) * 1024 for k, v in re.findall(r"^(\w+): +(\d+) kB$", meminfo.read_text(), re.MULTILINE)}
    # Another size is another machine: the engine is remote, or in a virtual machine of its own.
    if here.get("MemTotal") != found.memory_bytes:
        return found.memory_bytes
    return here["MemAvailable"]


def enough(found: Engine, free: int) -> None:
    """Refuse a machine on which the cluster would only half work.

    Args:
        found: the engine.
        free: bytes.

    Raises:
        TooLittle: memory, or the kernel's cgroups.
    """
    if free < NEEDED_GIB * _GIB:
        raise TooLittle(
            f"{free / _GIB:.1f} GiB of memory are free where Docker runs",
            f"the whole platform needs {NEEDED_GIB} GiB",
            "Close something, give Docker's machine more, or try nevertheless: make kind-up FORCE=1",
        )
    if found.cgroup_version < 2:
        raise TooLittle(
            "Docker's machine has cgroups of version 1",
            "Kubernetes 1.35 and newer need version 2",
            "Boot it with systemd.unified_cgroup_hierarchy=1, or use a distribution of the last years",
        )


def registry(name: str) -> None:
    """See that a registry on this machine answers; one elsewhere is Docker's to reach.

    Raises:
        RegistryAway: it does not.
    """
    if not _PLAIN_REGISTRY.fullmatch(name):
        return
    # A proxy of the environment is not asked for an address of this machine.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"http://{name}/v2/", timeout=5):
            return
    except urllib.error.HTTPError as error:
        if error.code == 401:  # it is there, and wants to know who we are; Docker knows
            return
        raise RegistryAway(name, str(error)) from error
    except (urllib.error.URLError, OSError) as error:
        raise RegistryAway(name, str(getattr(error, "reason", error))) from error

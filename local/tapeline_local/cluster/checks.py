"""Preflight checks of a cluster: tools, Docker, memory, cgroups, registry."""

import json
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tapeline_local.cluster.errors import DockerUnavailable, InsufficientResources, RegistryUnavailable, ToolsMissing
from tapeline_local.cluster.shell import Shell

# Kafka 1.5, Elasticsearch 2, Kibana 1.5, operators 1.5, Kubernetes 1, Spark 2.5, our services 1, not all at their
# peak at once. Below 8 GiB pods are OOM-killed, with misleading symptoms.
NEEDED_GIB = 8
_GIB = 2**30
_INSTALL_HINTS = {
    "docker": "https://docs.docker.com/engine/install/",
    "kind": "https://kind.sigs.k8s.io/docs/user/quick-start/#installation (version {KIND_VERSION})",
    "kubectl": "`make setup` brings it for Linux; else https://kubernetes.io/docs/tasks/tools/",
    "helm": "`make setup` brings it for Linux; else https://helm.sh/docs/intro/install/",
}
_PLAIN_REGISTRY = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d+)?")


@dataclass(frozen=True)
class Engine:
    """Facts of the Docker engine's machine, which need not be this one.

    Attributes:
        memory_bytes: total memory of the machine.
        cgroup_version: 1 or 2.
        version: of the engine.
    """

    memory_bytes: int
    cgroup_version: int
    version: str


def require_tools(names: Iterable[str], path: str, pins: dict[str, str]) -> None:
    """Check that every program is on the PATH.

    Args:
        names: of the programs.
        path: value of PATH.
        pins: of versions.env.

    Raises:
        ToolsMissing: names all missing programs.
    """
    missing = {name: _INSTALL_HINTS[name].format(**pins) for name in names if shutil.which(name, path=path) is None}
    if missing:
        raise ToolsMissing(missing)


def inspect_engine(shell: Shell) -> Engine:
    """Return the facts of the Docker engine.

    Raises:
        DockerUnavailable: the engine does not respond.
    """
    result = shell.capture("docker", "info", "--format", "{{json .}}")
    try:
        facts: dict[str, Any] = json.loads(result.text or "{}")
    except json.JSONDecodeError:
        facts = {}
    # An older client exits with 0 and puts the error into the JSON.
    if result.code or facts.get("ServerErrors") or not facts.get("MemTotal"):
        raise DockerUnavailable("; ".join(facts.get("ServerErrors") or []) or result.reason or "no reason given")
    return Engine(int(facts["MemTotal"]), int(facts.get("CgroupVersion") or 1), str(facts.get("ServerVersion", "")))


def available_bytes(found: Engine, meminfo: Path = Path("/proc/meminfo")) -> int:
    """Return the available memory of the engine's machine; its total memory if that machine is not this one.

    Args:
        found: the engine.
        meminfo: the kernel's memory statistics of this machine.
    """
    if not meminfo.exists():
        return found.memory_bytes
    local = {k: int(v) * 1024 for k, v in re.findall(r"^(\w+): +(\d+) kB$", meminfo.read_text(), re.MULTILINE)}
    # Another total is another machine: the engine is remote, or runs in a virtual machine.
    if local.get("MemTotal") != found.memory_bytes:
        return found.memory_bytes
    return local["MemAvailable"]


def require_resources(found: Engine, free: int) -> None:
    """Refuse a machine with too little memory or cgroups of version 1.

    Args:
        found: the engine.
        free: bytes.

    Raises:
        InsufficientResources: of memory, or of the kernel's cgroups.
    """
    if free < NEEDED_GIB * _GIB:
        raise InsufficientResources(
            f"{free / _GIB:.1f} GiB of memory are free where Docker runs",
            f"the whole platform needs {NEEDED_GIB} GiB",
            "Close programs, give Docker's machine more memory, or override: make kind-up FORCE=1",
        )
    if found.cgroup_version < 2:
        raise InsufficientResources(
            "Docker's machine has cgroups of version 1",
            "Kubernetes 1.35 and newer need version 2",
            "Boot it with systemd.unified_cgroup_hierarchy=1, or use a newer distribution",
        )


def require_registry(name: str) -> None:
    """Check that a registry on this machine responds; a remote registry is not checked.

    Raises:
        RegistryUnavailable: it does not respond.
    """
    if not _PLAIN_REGISTRY.fullmatch(name):
        return
    # No proxy of the environment for an address of this machine.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"http://{name}/v2/", timeout=5):
            return
    except urllib.error.HTTPError as error:
        if error.code == 401:  # it responds and requires a login, which Docker has
            return
        raise RegistryUnavailable(name, str(error)) from error
    except (urllib.error.URLError, OSError) as error:
        raise RegistryUnavailable(name, str(getattr(error, "reason", error))) from error

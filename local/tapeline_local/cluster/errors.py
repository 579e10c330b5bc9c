"""Errors of the cluster commands. Each message names the value, the rule and the way out.

ClusterError
├── ToolsMissing
├── DockerUnavailable
├── InsufficientResources
├── RegistryUnavailable
└── CommandFailed
"""

from collections.abc import Mapping, Sequence


class ClusterError(Exception):
    """Base class of the errors of this package."""


class ToolsMissing(ClusterError):
    """Required programs are not on the PATH."""

    def __init__(self, where_to_get: Mapping[str, str]) -> None:
        lines = [f"  {name}: {where}" for name, where in where_to_get.items()]
        super().__init__(f"not on the PATH: {', '.join(where_to_get)}. Where to get them:\n" + "\n".join(lines))


class DockerUnavailable(ClusterError):
    """The Docker client is installed, the engine does not respond."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Docker does not answer: {reason}\nStart it, or set DOCKER_HOST to its address.")


class InsufficientResources(ClusterError):
    """The machine has too few resources for the cluster."""

    def __init__(self, was: str, needed: str, way_out: str) -> None:
        super().__init__(f"{was}; {needed}. {way_out}")


class RegistryUnavailable(ClusterError):
    """The registry does not respond."""

    def __init__(self, registry: str, reason: str) -> None:
        super().__init__(
            f"no registry answers at {registry}: {reason}\n"
            "`make kind-up` starts one there; to use another one, set REGISTRY=host:port."
        )


class CommandFailed(ClusterError):
    """A program failed; its output is above."""

    def __init__(self, command: Sequence[str], code: int, detail: str = "") -> None:
        suffix = f"\n{detail}" if detail else ""
        super().__init__(f"exit code {code} of: {' '.join(command)}{suffix}\nRun it again: completed steps are kept.")

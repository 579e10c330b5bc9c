"""What can keep a cluster from being made; every message says what was, what is needed, and the way out.

ClusterError
├── ToolsMissing
├── DockerAway
├── TooLittle
├── RegistryAway
└── CommandFailed
"""

from collections.abc import Mapping, Sequence


class ClusterError(Exception):
    """Anything this package refuses to do."""


class ToolsMissing(ClusterError):
    """Programs that are needed are not on the PATH."""

    def __init__(self, where_to_get: Mapping[str, str]) -> None:
        lines = [f"  {name}: {where}" for name, where in where_to_get.items()]
        super().__init__(f"not on the PATH: {', '.join(where_to_get)}. Where to get them:\n" + "\n".join(lines))


class DockerAway(ClusterError):
    """The client is there, the engine does not answer."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Docker does not answer: {reason}\nStart it, or say in DOCKER_HOST where it listens.")


class TooLittle(ClusterError):
    """The machine cannot carry the cluster."""

    def __init__(self, was: str, needed: str, way_out: str) -> None:
        super().__init__(f"{was}; {needed}. {way_out}")


class RegistryAway(ClusterError):
    """Nothing to push to."""

    def __init__(self, registry: str, reason: str) -> None:
        super().__init__(
            f"no registry answers at {registry}: {reason}\n"
            "`make kind-up` starts one there; another one is named with REGISTRY=host:port."
        )


class CommandFailed(ClusterError):
    """A program ended with an error; its own words stand above."""

    def __init__(self, command: Sequence[str], code: int, detail: str = "") -> None:
        words = f"\n{detail}" if detail else ""
        super().__init__(f"exit code {code} of: {' '.join(command)}{words}\nRun it again: what is done stays done.")

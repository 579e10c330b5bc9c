"""Errors of the local stack. Each message names the value, the rule and the way out.

LocalError
├── SettingsRefused
├── SetupError
│   ├── ArtifactUnavailable
│   ├── ArtifactDamaged
│   └── PackageUnavailable
└── StackError
    ├── NotSetUp
    ├── StackInUse
    ├── NotRunning
    ├── PartDied
    └── NotReady
"""

from pathlib import Path


class LocalError(Exception):
    """Base class of the errors of this package."""


class SettingsRefused(LocalError):
    """A variable is unknown or its value is invalid."""


class SetupError(LocalError):
    """`make setup` cannot complete."""


class ArtifactUnavailable(SetupError):
    """A pinned file could not be fetched."""

    def __init__(self, coordinates: str, target: Path, tries: int, reason: str) -> None:
        super().__init__(
            f"{coordinates} could not be fetched in {tries} tries; last error: {reason}\n"
            f"Ways out: run `make setup` again (what is there is kept), or put the file at {target} yourself; "
            "its sha256 is in local/artifacts.lock."
        )


class ArtifactDamaged(SetupError):
    """The digest of a fetched file differs from the pinned one."""

    def __init__(self, coordinates: str, was: str, pinned: str) -> None:
        super().__init__(
            f"sha256 of {coordinates} was {was}, pinned is {pinned}; the file was deleted. "
            "Run `make setup` again; if the digest differs again, do not use that source."
        )


class PackageUnavailable(SetupError):
    """A file of packages.lock could not be fetched; only charts and clusters need it."""

    def __init__(self, package: str, reason: str) -> None:
        super().__init__(f"{package} could not be fetched: {reason}")


class StackError(LocalError):
    """Base class of the errors of a stack."""


class NotSetUp(StackError):
    """A file that `make setup` creates is missing."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is missing; run `make setup` first.")


class StackInUse(StackError):
    """Another process runs a stack on this state folder."""

    def __init__(self, state: Path, pid: int | None) -> None:
        self.pid = pid
        owner = f"process {pid}" if pid else "another process"
        super().__init__(
            f"state folder {state} is in use by {owner}; one folder serves one stack. "
            "Stop that one (`make down`, or `make down NAME=...`), or start this one under another name."
        )


class NotRunning(StackError):
    """No stack runs on the state folder."""

    def __init__(self, state: Path) -> None:
        super().__init__(f"no stack runs on {state}; start it with `make up`.")


class PartDied(StackError):
    """A part exited unexpectedly."""

    def __init__(self, part: str, how: str, log_tail: str) -> None:
        self.part = part
        super().__init__(f"{part} died ({how}). The end of its log:\n{log_tail}")


class NotReady(StackError):
    """A part runs but did not become ready before the timeout."""

    def __init__(self, part: str, timeout_s: float, last_response: str, log_tail: str) -> None:
        self.part = part
        super().__init__(
            f"{part} was not ready within {timeout_s:.0f} s; last response: {last_response}. "
            f"The end of its log:\n{log_tail}"
        )

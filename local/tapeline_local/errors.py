"""What can go wrong with a local stack; every message says what was, what the rule is, and the way out.

LocalError
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
    """Anything this package refuses to do."""


class SetupError(LocalError):
    """`make setup` cannot finish."""


class ArtifactUnavailable(SetupError):
    """A pinned file could not be fetched."""

    def __init__(self, coordinates: str, target: Path, tries: int, reason: str) -> None:
        super().__init__(
            f"{coordinates} could not be fetched in {tries} tries; the last one said: {reason}\n"
            f"Ways out: run `make setup` again (what is there is kept), or put the file at {target} yourself; "
            "its sha256 is in local/artifacts.lock."
        )


class ArtifactDamaged(SetupError):
    """A fetched file is not the pinned one."""

    def __init__(self, coordinates: str, was: str, pinned: str) -> None:
        super().__init__(
            f"sha256 of {coordinates} was {was}, pinned is {pinned}; the file was thrown away. "
            "Run `make setup` again; if it stays so, do not use the source it comes from."
        )


class PackageUnavailable(SetupError):
    """A file of packages.lock could not be had; only charts and clusters need it."""

    def __init__(self, package: str, reason: str) -> None:
        super().__init__(f"{package} could not be had: {reason}")


class StackError(LocalError):
    """A stack cannot do what it was asked to."""


class NotSetUp(StackError):
    """Something that `make setup` makes is not there."""

    def __init__(self, what: Path) -> None:
        super().__init__(f"{what} is not there; run `make setup` first.")


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
    """The stack is not up."""

    def __init__(self, state: Path) -> None:
        super().__init__(f"no stack runs on {state}; start it with `make up`.")


class PartDied(StackError):
    """A part ended although nobody asked it to."""

    def __init__(self, part: str, how: str, log_tail: str) -> None:
        self.part = part
        super().__init__(f"{part} died ({how}). The end of its log:\n{log_tail}")


class NotReady(StackError):
    """A part runs but did not become ready in time."""

    def __init__(self, part: str, timeout_s: float, last_answer: str, log_tail: str) -> None:
        self.part = part
        super().__init__(
            f"{part} was not ready within {timeout_s:.0f} s; it last answered: {last_answer}. "
            f"The end of its log:\n{log_tail}"
        )

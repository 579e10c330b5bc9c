"""Errors of compiling and loading; each message has the value, the rule and the remedy."""

from pathlib import Path
from typing import ClassVar


class DashboardsError(Exception):
    """Base class of the errors of this package."""

    exit_code: ClassVar[int] = 1


class BadSource(DashboardsError):
    """A source file is invalid."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path.name} cannot be used: {reason}; source.py lists the allowed fields")


class RulesViolated(DashboardsError):
    """Compiled objects violate rules; nothing was written or sent."""

    def __init__(self, findings: list[str]) -> None:
        lines = "\n".join(f"  {finding}" for finding in findings)
        super().__init__(f"{len(findings)} rule violations; none is allowed; nothing was sent:\n{lines}")


class KibanaRefused(DashboardsError):
    """Kibana responded, but did not import every object."""

    exit_code: ClassVar[int] = 3

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(
            f"Kibana's response to the import was HTTP {status}: {reason}; every object must be imported; "
            "check user, privileges and space, then load again: the import overwrites existing objects"
        )


class KibanaUnavailable(DashboardsError):
    """Kibana did not become available within the deadline."""

    exit_code: ClassVar[int] = 4

    def __init__(self, url: str, waited_s: float, reason: str) -> None:
        super().__init__(
            f"Kibana at {url} was not available within {waited_s:.0f} s ({reason}); "
            "start it, or set DASHBOARDS_KIBANA_URL (`make dashboards KIBANA_URL=...`) or DASHBOARDS_DEADLINE_S"
        )

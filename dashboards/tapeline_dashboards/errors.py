"""What can stop a compilation or a load, each message with the value, the rule and the way out."""

from pathlib import Path
from typing import ClassVar


class DashboardsError(Exception):
    """Anything this package refuses on purpose."""

    exit_code: ClassVar[int] = 1


class BadSource(DashboardsError):
    """A source file cannot be read as what it should be."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path.name} cannot be used: {reason}; the words it may hold are those of source.py")


class RulesBroken(DashboardsError):
    """Compiled objects break rules; nothing was written or sent."""

    def __init__(self, findings: list[str]) -> None:
        lines = "\n".join(f"  {finding}" for finding in findings)
        super().__init__(f"findings were {len(findings)}; there must be none; nothing was sent:\n{lines}")


class KibanaRefused(DashboardsError):
    """Kibana answered, and took not all of it."""

    exit_code: ClassVar[int] = 3

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(
            f"Kibana's answer to the import was HTTP {status}: {reason}; it must take every object; "
            "check user, rights and space, then load again: what it took is written over"
        )


class KibanaAway(DashboardsError):
    """Kibana did not answer within the deadline."""

    exit_code: ClassVar[int] = 4

    def __init__(self, url: str, waited_s: float, reason: str) -> None:
        super().__init__(
            f"Kibana at {url} was not available within {waited_s:.0f} s ({reason}); "
            "start it, or set DASHBOARDS_KIBANA_URL (`make dashboards KIBANA_URL=...`) or DASHBOARDS_DEADLINE_S"
        )

"""Paths of this checkout, and their replacements where another user must reach them.

Elasticsearch refuses to run as root. For root it runs as an unprivileged user, who needs access to its files. Where
the checkout lies below a closed home directory, a folder of /var/tmp is used.
Standard library only.
"""

import hashlib
import os
import stat
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
TOOLS = CHECKOUT / ".tools"
JARS = TOOLS / "jars"
CLASS_ARCHIVES = TOOLS / "classes"
JVM_FILE = TOOLS / "jvm.json"
STATES = CHECKOUT / ".tapeline"
BUILD = CHECKOUT / "build"

# "nobody" on Linux and in every container image; only ever used when we are root.
UNPRIVILEGED_ID = 65534
_OUTSIDE = Path("/var/tmp")


def digest(path: Path) -> str:
    """Return a short name for a path, the same on every call."""
    return hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]


def is_reachable(folder: Path) -> bool:
    """Return whether any user may enter the folder: the folder and all its parents are o+x."""
    resolved = folder.resolve()
    return all(part.stat().st_mode & stat.S_IXOTH for part in (resolved, *resolved.parents) if part.exists())


def needs_unprivileged_user() -> bool:
    """Return whether Elasticsearch must run as another user."""
    return os.geteuid() == 0


def open_folder(wanted: Path) -> Path:
    """Return `wanted` if Elasticsearch's user can reach it, else this path's own folder in /var/tmp."""
    if not needs_unprivileged_user() or is_reachable(wanted):
        return wanted
    return _OUTSIDE / f"tapeline-{digest(CHECKOUT)}" / f"{wanted.name.lstrip('.')}-{digest(wanted)}"


def elasticsearch_home(version: str) -> Path:
    """Return the folder of the unpacked Elasticsearch."""
    return open_folder(TOOLS) / f"elasticsearch-{version}"

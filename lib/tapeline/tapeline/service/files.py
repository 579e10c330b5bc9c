"""Files that survive a crash: atomic writes, and folders that say which format their state has."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

FORMAT_FILE: Final = "FORMAT"
# What a folder may hold before it has state: the marker, the marker half written, and what a new volume begins with.
_NO_STATE: Final = frozenset({FORMAT_FILE, f".{FORMAT_FILE}.new", "lost+found"})


class OutdatedState(Exception):
    """A folder of state was written in a format that this release does not read."""

    def __init__(self, folder: Path, found: str, wanted: int, way_out: str) -> None:
        super().__init__(f"state in {folder} has format {found}; this release reads format {wanted}: {way_out}")


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a crash leaves the old content or the new one, never a part.

    Args:
        path: the file; its folder exists.
        content: all of it.

    Raises:
        OSError: the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


@contextmanager
def atomic_replacement(path: Path) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` on success and is removed on failure: for content written in parts.

    Args:
        path: the file; its folder is made where it is missing.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make renames and removals in a folder survive a crash.

    Raises:
        OSError: the folder cannot be opened or synced.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_format(folder: Path, wanted: int, way_out: str) -> None:
    """Accept a folder of state that this release can read; a new or empty folder is given the format.

    Args:
        folder: made where it is missing.
        wanted: number of the format that this release writes and reads.
        way_out: what to do about another format, as the end of a sentence.

    Raises:
        OutdatedState: the folder holds state of another format, or state from before formats had numbers.
        OSError: the folder cannot be made, read or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    marker = folder / FORMAT_FILE
    try:
        found = marker.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        if any(item.name not in _NO_STATE for item in folder.iterdir()):
            raise OutdatedState(folder, "0 (none written)", wanted, way_out) from None
        write_atomically(marker, f"{wanted}\n".encode())
        return
    if found != str(wanted):
        raise OutdatedState(folder, repr(found), wanted, way_out)

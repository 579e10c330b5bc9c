"""Reads the pins of versions.env.

Standard library only: bootstrap.py imports this module before anything is installed.
"""

from pathlib import Path


def parse(text: str) -> dict[str, str]:
    """Return the `NAME=value` lines of a pin file; empty lines and comments are skipped.

    Raises:
        ValueError: a line is neither empty, a comment, nor an assignment.
    """
    pins: dict[str, str] = {}
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals:
            raise ValueError(f"line {number} of versions.env was {raw!r}; write NAME=value or a # comment")
        pins[name.strip()] = value.strip()
    return pins


def read(checkout: Path) -> dict[str, str]:
    """Return the pins of a checkout."""
    return parse((checkout / "versions.env").read_text(encoding="utf-8"))

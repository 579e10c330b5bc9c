"""What every test may lean on: waiting for a named condition, and what a process has logged so far."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
INTERVAL_S = 0.05


def eventually(check: Callable[[], T], what: str, timeout_s: float = 30.0) -> T:
    """Return the first true result of `check`.

    Raises:
        AssertionError: it stayed false for `timeout_s`; the message names `what` and the last result.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        result = check()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout_s} s, last result was {result!r}")
        time.sleep(INTERVAL_S)


async def aeventually(check: Callable[[], T | Awaitable[T]], what: str, timeout_s: float = 30.0) -> T:
    """Do what `eventually` does, without stopping the event loop; `check` may be a coroutine function."""
    deadline = time.monotonic() + timeout_s
    while True:
        outcome = check()
        result = await outcome if isinstance(outcome, Awaitable) else outcome
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout_s} s, last result was {result!r}")
        await asyncio.sleep(INTERVAL_S)


def logged(log: Path) -> list[dict[str, Any]]:
    """Return the records of a log that is being written, oldest first; the last line may be half there."""
    lines = log.read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}\n")]

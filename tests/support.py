"""What every test may lean on: waiting for a named condition, and nothing else."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

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

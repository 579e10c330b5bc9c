"""What every test may lean on: waiting for a named condition, and what a process has logged so far."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
# The first polls follow each other quickly; those of a long wait spare the CPU for what is waited for.
INTERVAL_S, MAX_INTERVAL_S = 0.05, 1.0
# A check that reads everything there is must not keep the servers busy that it waits for.
PAUSE_PER_CHECK, MAX_PAUSE_PER_CHECK_S = 2.0, 2.0


def interval_s(waited_s: float, check_s: float) -> float:
    """Return the pause before the next poll.

    Args:
        waited_s: seconds waited so far.
        check_s: seconds that the last check took.
    """
    own_s = min(PAUSE_PER_CHECK * check_s, MAX_PAUSE_PER_CHECK_S)
    return max(INTERVAL_S, min(waited_s / 20, MAX_INTERVAL_S), own_s)


def eventually(check: Callable[[], T], what: str, timeout_s: float = 30.0) -> T:
    """Return the first true result of `check`.

    Raises:
        AssertionError: it stayed false for `timeout_s`; the message names `what` and the last result.
    """
    start = time.monotonic()
    while True:
        checked = time.monotonic()
        result = check()
        if result:
            return result
        now = time.monotonic()
        if now - start > timeout_s:
            raise AssertionError(f"{what}: not within {timeout_s} s, last result was {result!r}")
        time.sleep(interval_s(now - start, now - checked))


def eventually_nothing(remaining: Callable[[], Collection[Any]], what: str, timeout_s: float = 30.0) -> None:
    """Wait until nothing remains.

    Raises:
        AssertionError: something still did after `timeout_s`; the message names `what` and shows it.
    """
    last: Collection[Any] = ()

    def is_nothing() -> bool:
        nonlocal last
        last = remaining()
        return not last

    try:
        eventually(is_nothing, what, timeout_s)
    except AssertionError as error:
        raise AssertionError(f"{what}: still there after {timeout_s} s: {last!r}") from error


async def aeventually(check: Callable[[], T | Awaitable[T]], what: str, timeout_s: float = 30.0) -> T:
    """Do what `eventually` does, without stopping the event loop; `check` may be a coroutine function."""
    start = time.monotonic()
    while True:
        checked = time.monotonic()
        outcome = check()
        result = await outcome if isinstance(outcome, Awaitable) else outcome
        if result:
            return result
        now = time.monotonic()
        if now - start > timeout_s:
            raise AssertionError(f"{what}: not within {timeout_s} s, last result was {result!r}")
        await asyncio.sleep(interval_s(now - start, now - checked))


def logged(log: Path) -> list[dict[str, Any]]:
    """Return the records of a log that is being written, oldest first; the last line may be half there."""
    lines = log.read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}\n")]

"""Polls at a fixed interval; the only place of this package that sleeps."""

import time
from collections.abc import Callable, Iterator

INTERVAL_S = 0.1


def attempts(timeout_s: float) -> Iterator[float]:
    """Yield the seconds elapsed, at once and then every INTERVAL_S, until the timeout."""
    started = time.monotonic()
    while (elapsed := time.monotonic() - started) < timeout_s:
        yield elapsed
        time.sleep(INTERVAL_S)


def eventually(check: Callable[[], bool], timeout_s: float) -> bool:
    """Return whether a check became true before the timeout."""
    return any(check() for _ in attempts(timeout_s)) or check()


def pause() -> None:
    """Sleep for INTERVAL_S."""
    time.sleep(INTERVAL_S)

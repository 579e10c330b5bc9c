"""The only place of this package that sleeps."""

import time
from collections.abc import Callable, Iterator

INTERVAL_S = 0.1


def turns(timeout_s: float) -> Iterator[float]:
    """Yield the seconds passed so far, at once and then every INTERVAL_S, until the time is over."""
    started = time.monotonic()
    while (passed := time.monotonic() - started) < timeout_s:
        yield passed
        time.sleep(INTERVAL_S)


def eventually(check: Callable[[], bool], timeout_s: float) -> bool:
    """Return whether a check came true in time."""
    return any(check() for _ in turns(timeout_s)) or check()


def pause() -> None:
    """Let INTERVAL_S pass."""
    time.sleep(INTERVAL_S)

"""Our clock, as every stamp of ours is taken."""

import time


def now_ms() -> int:
    """Return the time by our clock, milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000

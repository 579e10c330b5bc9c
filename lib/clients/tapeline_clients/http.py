"""Which HTTP responses pass by themselves, and how a request is repeated meanwhile.

One policy for every client of Tapeline. Not here: what the body of a response says, which each client reads first.
"""

from collections.abc import Callable
from typing import Final

import tenacity

TRANSIENT_STATUSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Request timeout, too early, too many requests, and what servers and the proxies before them say of themselves."""


def is_transient(status: int) -> bool:
    """Return whether the same request may succeed later.

    Args:
        status: HTTP status of the response.
    """
    return status in TRANSIENT_STATUSES


def retrying(
    is_transient_error: Callable[[BaseException], bool],
    deadline_s: float,
    *,
    first_pause_s: float = 0.2,
    longest_pause_s: float = 10.0,
) -> tenacity.Retrying:
    """Return what repeats a request until it succeeds, fails for good, or the deadline passes.

    Pauses grow exponentially with full jitter. The last error is raised as it is.

    Args:
        is_transient_error: whether an error may pass by itself.
        deadline_s: seconds since the first attempt, after which no other one begins.
        first_pause_s: upper bound of the first pause, seconds.
        longest_pause_s: upper bound of any pause, seconds.
    """
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(is_transient_error),
        wait=tenacity.wait_random_exponential(multiplier=first_pause_s, max=longest_pause_s),
        stop=tenacity.stop_after_delay(deadline_s),
        reraise=True,
    )

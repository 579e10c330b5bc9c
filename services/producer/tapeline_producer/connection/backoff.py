"""Computes the delays between attempts: exponential, with full jitter above a minimum."""

from tenacity import wait_random_exponential


def backoff(min_s: float, max_s: float) -> wait_random_exponential:
    """Return tenacity's wait: between `min_s` and a bound that doubles from 1.5 * `min_s` up to `max_s`.

    Args:
        min_s: shortest delay, s.
        max_s: longest delay, s.
    """
    return wait_random_exponential(multiplier=1.5 * min_s, min=min_s, max=max_s)

import random as standard_random

import pytest
from tapeline_producer.connection.backoff import backoff
from tenacity import Retrying, retry_if_result, stop_after_attempt


def delays(count: int) -> list[float]:
    """Return the delays after each of so many failures in a row."""
    slept: list[float] = []
    failing = Retrying(
        wait=backoff(1.0, 30.0),
        sleep=slept.append,
        retry=retry_if_result(lambda _: True),
        stop=stop_after_attempt(count + 1),
        retry_error_callback=lambda _: None,
    )
    failing(lambda: None)
    return slept


@pytest.mark.parametrize(("random", "expected"), [(0.0, [1, 1, 1, 1]), (1.0, [1.5, 3, 6, 12])])
def test_delays_grow_and_never_fall_below_the_minimum(
    monkeypatch: pytest.MonkeyPatch, random: float, expected: list[float]
) -> None:
    monkeypatch.setattr(standard_random, "uniform", lambda low, high: low + random * (high - low))
    assert delays(4) == expected


def test_delays_are_capped_and_start_again_with_the_next_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standard_random, "uniform", lambda low, high: high)
    assert max(delays(2000)) == 30.0
    assert delays(1) == [1.5]


def test_delays_are_spread_between_the_bounds() -> None:
    last = [delays(3)[2] for _ in range(200)]
    assert all(1.0 <= delay <= 6.0 for delay in last) and max(last) - min(last) > 2.0

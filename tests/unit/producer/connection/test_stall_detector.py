import pytest
from tapeline_producer.connection.stall_detector import Backoff, Silence


def heard(silence: Silence, frames: int, interval_s: float, start: float = 0.0) -> float:
    silence.opened(start)
    for number in range(1, frames + 1):
        silence.heard(start + number * interval_s)
    return start + frames * interval_s


def is_stalled(silence: Silence, now: float) -> bool:
    return silence.silence_s(now) > silence.limit_s(now)


def test_busy_connection_is_stalled_after_the_shortest_silence() -> None:
    silence = Silence(30.0)
    end = heard(silence, 1000, 0.1)
    assert not is_stalled(silence, end + 29)
    assert is_stalled(silence, end + 31)


def test_quiet_connection_is_given_fifty_of_its_own_intervals() -> None:
    silence = Silence(30.0)
    end = heard(silence, 100, 5.0)
    assert not is_stalled(silence, end + 200)
    assert is_stalled(silence, end + 600)


def test_burst_on_a_quiet_connection_does_not_make_it_impatient() -> None:
    silence = Silence(30.0)
    end = heard(silence, 20, 0.001)
    assert not is_stalled(silence, end + 600)


def test_connection_that_never_brought_data_is_renewed_in_the_end() -> None:
    silence = Silence(30.0)
    silence.opened(0.0)
    assert not is_stalled(silence, 899.0)
    assert is_stalled(silence, 901.0)


def test_experience_outlives_the_connection() -> None:
    silence = Silence(30.0)
    heard(silence, 1000, 0.1)
    silence.opened(500.0)
    assert is_stalled(silence, 531.0)


def test_market_that_is_silent_on_the_next_connection_too_gets_more_patience_until_data_comes() -> None:
    silence = Silence(30.0)
    end = heard(silence, 1000, 0.1)
    silence.stalled()
    silence.opened(end + 40)
    assert not is_stalled(silence, end + 40 + 50)
    silence.heard(end + 100)
    assert is_stalled(silence, end + 100 + 31)


@pytest.mark.parametrize(("chance", "expected"), [(0.0, [1, 1, 1, 1]), (1.0, [1.5, 3, 6, 12])])
def test_pauses_grow_and_never_fall_below_the_least(chance: float, expected: list[float]) -> None:
    backoff = Backoff(1.0, 30.0, lambda: chance)
    assert [backoff.next_s() for _ in range(4)] == expected


def test_pauses_are_capped_and_start_again_after_success() -> None:
    backoff = Backoff(1.0, 30.0, lambda: 1.0)
    assert max(backoff.next_s() for _ in range(2000)) == 30.0
    backoff.succeeded()
    assert backoff.next_s() == 1.5

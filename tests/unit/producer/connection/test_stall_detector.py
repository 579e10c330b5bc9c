from tapeline_producer.connection.stall_detector import StallDetector


def record_messages(detector: StallDetector, frames: int, interval_s: float, start: float = 0.0) -> float:
    detector.start_connection(start)
    for number in range(1, frames + 1):
        detector.record_message(start + number * interval_s)
    return start + frames * interval_s


def is_stalled(detector: StallDetector, now: float) -> bool:
    return detector.silence_s(now) > detector.timeout_s(now)


def test_busy_connection_is_stalled_after_the_minimum_timeout() -> None:
    detector = StallDetector(30.0)
    end = record_messages(detector, 1000, 0.1)
    assert not is_stalled(detector, end + 29)
    assert is_stalled(detector, end + 31)


def test_quiet_connection_is_stalled_after_fifty_of_its_own_intervals() -> None:
    detector = StallDetector(30.0)
    end = record_messages(detector, 100, 5.0)
    assert not is_stalled(detector, end + 200)
    assert is_stalled(detector, end + 600)


def test_burst_on_a_quiet_connection_does_not_shorten_the_timeout() -> None:
    detector = StallDetector(30.0)
    end = record_messages(detector, 20, 0.001)
    assert not is_stalled(detector, end + 600)


def test_connection_without_any_data_is_stalled_after_the_maximum_timeout() -> None:
    detector = StallDetector(30.0)
    detector.start_connection(0.0)
    assert not is_stalled(detector, 899.0)
    assert is_stalled(detector, 901.0)


def test_message_rate_is_kept_for_the_next_connection() -> None:
    detector = StallDetector(30.0)
    record_messages(detector, 1000, 0.1)
    detector.start_connection(500.0)
    assert is_stalled(detector, 531.0)


def test_timeout_doubles_after_a_stall_until_the_next_message() -> None:
    detector = StallDetector(30.0)
    end = record_messages(detector, 1000, 0.1)
    detector.record_stall()
    detector.start_connection(end + 40)
    assert not is_stalled(detector, end + 40 + 50)
    detector.record_message(end + 100)
    assert is_stalled(detector, end + 100 + 31)

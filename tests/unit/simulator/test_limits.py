"""An address above the rate limit is banned; other addresses are not."""

from tapeline_simulator.limits import RateLimit


def test_address_within_the_limit_is_never_refused():
    limit = RateLimit(requests=3, window_s=5, ban_s=600)
    assert all(limit.allows("a", 2.0 * number) for number in range(50))


def test_address_over_the_limit_is_refused_until_the_ban_ends():
    limit = RateLimit(requests=3, window_s=5, ban_s=600)
    assert [limit.allows("a", 1.0) for _ in range(4)] == [True, True, True, False]
    assert not limit.allows("a", 600.9)
    assert limit.allows("a", 601.1)


def test_other_address_is_not_refused():
    limit = RateLimit(requests=1, window_s=5, ban_s=600)
    limit.allows("a", 1.0), limit.allows("a", 1.0)
    assert limit.allows("b", 1.0)


def test_a_ban_resets_the_window():
    limit = RateLimit(requests=2, window_s=60, ban_s=1)
    assert [limit.allows("a", 0.1) for _ in range(3)] == [True, True, False]
    assert [limit.allows("a", 1.2) for _ in range(3)] == [True, True, False]

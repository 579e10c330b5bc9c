from hypothesis import given
from hypothesis import strategies as st
from tapeline_spark.alerts.episodes import Episodes

MINUTE = 60_000
REST = 5 * MINUTE


def test_what_goes_on_is_one_finding_and_what_comes_back_is_another():
    episodes = Episodes()
    minutes = [0, 1, 2, 7, 13, 14]
    assert [episodes.is_new("a", m * MINUTE, REST) for m in minutes] == [True, False, False, False, True, False]


def test_subjects_do_not_know_of_each_other():
    episodes = Episodes()
    assert episodes.is_new("a", 0, REST) and episodes.is_new("b", 0, REST)


def test_a_late_trade_changes_an_episode_and_begins_none_within_it():
    episodes = Episodes()
    assert episodes.is_new("a", 10 * MINUTE, REST)
    assert not episodes.is_new("a", 8 * MINUTE, REST)
    assert episodes.is_new("a", 2 * MINUTE, REST), "before its rest: one of the past"
    assert not episodes.is_new("a", 11 * MINUTE, REST), "and the present one goes on"


def test_a_state_is_taken_back_and_an_old_or_broken_one_is_none():
    episodes = Episodes()
    episodes.is_new("a", 10 * MINUTE, REST)
    episodes.record_rate("bybit:spot:BTCUSDT", 720.0)
    back = Episodes(episodes.snapshot(10 * MINUTE))
    assert not back.is_new("a", 11 * MINUTE, REST)
    assert (back.rate("bybit:spot:BTCUSDT"), back.rate("bybit:spot:ETHUSDT")) == (720.0, 0.0)
    assert Episodes(b"\x00broken").is_new("a", 11 * MINUTE, REST)


def test_what_ended_long_ago_is_forgotten():
    episodes = Episodes()
    episodes.is_new("a", 0, REST)
    assert len(episodes.snapshot(3 * 24 * 60 * MINUTE)) < len(Episodes(None).snapshot(0)) + 5


@given(st.sets(st.integers(0, 60), min_size=1), st.integers(1, 10), st.integers(0, 60))
def test_a_restart_in_between_finds_the_same_beginnings(minutes, rest, cut):
    """Reference: a minute begins an episode if none within its rest before it did hold."""
    ordered = sorted(minutes)
    expected = [m for i, m in enumerate(ordered) if i == 0 or m - ordered[i - 1] > rest]
    first = Episodes()
    found = [m for m in ordered if m <= cut and first.is_new("a", m * MINUTE, rest * MINUTE)]
    second = Episodes(first.snapshot(cut * MINUTE))
    found += [m for m in ordered if m > cut and second.is_new("a", m * MINUTE, rest * MINUTE)]
    assert found == expected

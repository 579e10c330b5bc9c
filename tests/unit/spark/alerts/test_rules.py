import pytest
from hypothesis import given
from hypothesis import strategies as st
from tapeline.records.gap import Gap
from tapeline_spark.alerts import rules
from tapeline_spark.alerts.rule_config import (
    FeedGap,
    ModelBelowPrior,
    ModelExpired,
    PriceMove,
    SilentSymbol,
    VolumeBurst,
)

from unit.spark.candle_factories import INSTRUMENT, MINUTE_MS, START_MS, candles

MOVE = PriceMove(name="move", kind="price_move", window="5m", threshold_bp=200)
DIGEST = "ab" * 32


def last(ticks):
    return list(candles(ticks).values())[-1]


def flat(minutes, price=100.0, volume=1.0):
    return [(minute, price, volume) for minute in range(minutes)]


def test_two_percent_within_the_window_are_found_with_their_numbers():
    (found,) = rules.price_moves(MOVE, INSTRUMENT, last([*flat(6), (6, 101.0, 1.0), (6, 102.0, 1.0)]))
    assert found.value == pytest.approx(200.0)
    assert found.alert_id == f"move|bybit|spot|BTCUSDT|up|{START_MS + 6 * MINUTE_MS}"
    assert found.message == "BTCUSDT rose by 2.00 % within 5m, from 100 to 102"
    alert = found.alert(START_MS + 7 * MINUTE_MS)
    assert (alert.kind, alert.market_type, alert.symbol, alert.unit) == ("price_move", "spot", "BTCUSDT", "bp")


@pytest.mark.parametrize(
    "ticks",
    [
        [*flat(6), (6, 101.9, 1.0)],
        # The window's beginning is not known.
        [*flat(4), (4, 150.0, 1.0)],
        # Twice as far, but slower than the window.
        [(minute, 100.0 + minute * 0.3, 1.0) for minute in range(20)],
    ],
    ids=["less", "unknown", "slower"],
)
def test_what_is_less_or_unknown_or_slower_is_not(ticks):
    assert not list(rules.price_moves(MOVE, INSTRUMENT, last(ticks)))


def test_a_fall_and_a_rise_within_one_minute_are_two():
    found = list(
        rules.price_moves(MOVE, INSTRUMENT, last([*flat(6), (6, 103.0, 1.0), (6, 97.0, 1.0), (6, 100.0, 1.0)]))
    )
    assert [("up" in each.subject, round(each.value)) for each in found] == [(True, 300), (False, -300)]


def test_a_quiet_minute_moves_nothing():
    ticks = [*flat(6), (6, 103.0, 1.0), (8, 103.0, 1.0)]
    quiet = list(candles(ticks).values())[7]
    assert quiet.is_quiet and not list(rules.price_moves(MOVE, INSTRUMENT, quiet))


@given(st.lists(st.floats(90.0, 110.0), min_size=1, max_size=12))
def test_what_a_minute_has_shown_it_goes_on_showing(prices):
    """Otherwise a finding would hang on where batches end."""
    shown: set[str] = set()
    for number in range(1, len(prices) + 1):
        one = last([*flat(6), *((6, price, 1.0) for price in prices[:number])])
        now = {found.subject for found in rules.price_moves(MOVE, INSTRUMENT, one)}
        assert shown <= now
        shown = now
    expected = {"up"} if max(prices) >= 102.0000001 else set()
    expected |= {"down"} if min(prices) <= 97.9999999 else set()
    assert {subject.rpartition("|")[2] for subject in shown} >= expected


BURST = VolumeBurst(name="burst", kind="volume_burst", window="1m", ratio=10, min_trades=3)


def test_a_burst_is_measured_in_multiples_of_the_rest_of_the_hour():
    found = rules.volume_burst(BURST, INSTRUMENT, last([*flat(60), *[(60, 100.0, 5.0)] * 4]))
    assert found is not None and found.value == pytest.approx(20.0)
    assert found.message == "BTCUSDT traded 20.0 times its usual volume within 1m"


@pytest.mark.parametrize(
    "ticks",
    [
        [*flat(60), *[(60, 100.0, 2.0)] * 4],
        [*flat(60), (60, 100.0, 50.0)],
        [*flat(30), *[(30, 100.0, 50.0)] * 4],
        [*flat(1, volume=0.0), *[(60, 100.0, 50.0)] * 4],
    ],
    ids=["less", "one large trade", "no hour yet", "nothing before"],
)
def test_what_is_no_burst(ticks):
    assert rules.volume_burst(BURST, INSTRUMENT, last(ticks)) is None


SILENT = SilentSymbol(name="silent", kind="silent_symbol", after_s=60, min_trades_per_hour=100)


def test_a_silence_is_known_by_its_beginning_however_long_it_lasts():
    short = rules.symbol_silence(SILENT, INSTRUMENT, START_MS, START_MS + 60_000, 100)
    long = rules.symbol_silence(SILENT, INSTRUMENT, START_MS, START_MS + 600_000, 100)
    assert short is not None and long is not None
    assert short.alert_id == long.alert_id == f"silent|bybit|spot|BTCUSDT|{START_MS}"
    assert short.value == 60.0


def test_what_is_not_silent_long_enough_or_never_traded_much():
    assert rules.symbol_silence(SILENT, INSTRUMENT, START_MS, START_MS + 59_999, 100) is None
    assert rules.symbol_silence(SILENT, INSTRUMENT, START_MS, START_MS + 600_000, 99) is None
    assert rules.feed_silence(SILENT, "bybit", START_MS, 600_000) is None


def test_the_whole_feed_is_silent_by_our_clock():
    feed = SilentSymbol(name="feed", kind="silent_symbol", of="feed", after_s=60)
    found = rules.feed_silence(feed, "bybit", START_MS, 61_000)
    assert found is not None and found.instrument is None
    assert found.alert(START_MS).symbol is None
    assert rules.feed_silence(feed, "bybit", START_MS, 59_000) is None
    assert rules.symbol_silence(feed, INSTRUMENT, START_MS, START_MS + 600_000, 100) is None


GAP = Gap(
    venue="bybit",
    market_type="spot",
    symbol="BTCUSDT",
    reason="restart",
    detected_at=START_MS + 9_000,
    from_traded_at=START_MS,
    from_trade_id="1",
    to_traded_at=START_MS + 7_500,
    to_trade_id="9",
    backfilled=60,
)


def test_a_gap_is_identified_by_its_ends():
    rule = FeedGap(name="gap", kind="feed_gap", min_s=7.5)
    found = rules.feed_gap(rule, GAP)
    assert found is not None and found.value == 7.5
    assert found.alert_id == f"gap|bybit|spot|BTCUSDT|1|9|{START_MS}"
    assert "restart" in found.message and "60 of the same outage" in found.message
    assert rules.feed_gap(FeedGap(name="gap", kind="feed_gap", min_s=8), GAP) is None


BELOW = ModelBelowPrior(name="below", kind="model_below_prior", margin=0.01, min_predictions=100)


def sums(predictions, brier, prior):
    return rules.BrierSums(predictions, brier * predictions, prior * predictions)


def test_a_model_is_reported_in_the_first_window_in_which_it_is_worse():
    found = rules.below_prior(BELOW, "bybit", DIGEST, START_MS, sums(100, 0.27, 0.25), sums(100, 0.24, 0.25))
    assert found is not None
    assert (round(found.value, 6), round(found.threshold, 6), found.model_digest) == (0.27, 0.26, DIGEST)
    assert found.alert(START_MS).unit == "brier"
    assert rules.below_prior(BELOW, "bybit", DIGEST, START_MS, sums(100, 0.27, 0.25), None) is not None
    # The condition continues: already reported.
    assert rules.below_prior(BELOW, "bybit", DIGEST, START_MS, sums(100, 0.27, 0.25), sums(100, 0.28, 0.25)) is None


@pytest.mark.parametrize("now", [sums(100, 0.259, 0.25), sums(99, 0.40, 0.25), sums(0, 0.0, 0.0)])
def test_a_model_within_the_margin_or_of_few_predictions_is_not(now):
    assert rules.below_prior(BELOW, "bybit", DIGEST, START_MS, now, None) is None


def test_an_expiry_is_reported_once_ahead_and_once_when_it_is_reached():
    hour_ms = 3_600_000
    ahead = ModelExpired(name="soon", kind="model_expired", ahead_hours=2)
    there = ModelExpired(name="expired", kind="model_expired")
    expires = START_MS + 10 * hour_ms
    assert rules.expired(ahead, DIGEST, expires, expires - 2 * hour_ms - 1) is None
    soon = rules.expired(ahead, DIGEST, expires, expires - 2 * hour_ms)
    assert soon is not None and "expires at" in soon.message and soon.value == 7200
    later = rules.expired(ahead, DIGEST, expires, expires - hour_ms)
    assert later is not None and later.alert_id == soon.alert_id
    assert rules.expired(there, DIGEST, expires, expires - 1) is None
    over = rules.expired(there, DIGEST, expires, expires)
    assert over is not None and "expired at" in over.message

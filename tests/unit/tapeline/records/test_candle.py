import pytest
from tapeline.instrument import Instrument
from tapeline.records import candle

START_MS = 1_790_000_040_000


def test_identity_is_one_per_symbol_and_minute() -> None:
    spot, linear = Instrument.parse("bybit:spot:BTCUSDT"), Instrument.parse("bybit:linear:BTCUSDT")
    assert candle.identity(spot, START_MS) == f"bybit|spot|BTCUSDT|{START_MS}"
    assert candle.identity(linear, START_MS) != candle.identity(spot, START_MS)


@pytest.mark.parametrize("stamp", [START_MS + 1, START_MS + 59_999, START_MS // 1000 + 1])
def test_a_stamp_within_a_minute_is_refused(stamp: int) -> None:
    """Two documents of one minute would be two candles."""
    with pytest.raises(ValueError, match=f"was {stamp}; it must be a multiple of 60000 ms"):
        candle.identity(Instrument.parse("bybit:spot:BTCUSDT"), stamp)


def test_every_computed_field_is_a_double_of_the_strict_mapping() -> None:
    assert candle.MAPPING["dynamic"] == "strict"
    properties = candle.MAPPING["properties"]
    for name in (*candle.PRICES, *candle.INDICATORS, *candle.windowed_fields()):
        assert properties[name] == {"type": "double"}, name


def test_each_measure_has_a_field_in_each_window_and_none_twice() -> None:
    fields = candle.windowed_fields()
    assert len(set(fields)) == len(fields) == len(candle.WINDOWED) * len(candle.WINDOWS_MINUTES)
    assert {"return_bp_1m", "volatility_bp_5m", "volume_15m", "trades_per_s_1h", "imbalance_1h"} <= set(fields)


def test_no_window_is_longer_than_an_hour_of_closes_and_none_is_empty() -> None:
    assert list(candle.WINDOWS_MINUTES.values()) == sorted(set(candle.WINDOWS_MINUTES.values()))
    assert min(candle.WINDOWS_MINUTES.values()) >= 1

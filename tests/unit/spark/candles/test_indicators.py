import numpy as np
import pytest
import talib
from tapeline.records import candle
from tapeline_spark.candles.indicators import KEPT_MINUTES, WINDOW_MINUTES, compute

RNG = np.random.default_rng(3)
CLOSES = 83_000 * np.exp(np.cumsum(RNG.normal(0, 0.0007, 5_000)))
# The number of closes from which on TA-Lib has a value.
BEGINS = {"sma_20": 20, "ema_12": 12, "ema_26": 26, "rsi_14": 15, "macd": 34, "macd_signal": 34, "macd_histogram": 34}


def test_five_thousand_closes_give_what_ta_lib_gives_for_all_of_them() -> None:
    found = compute(CLOSES)
    macd, signal, histogram = (series[-1] for series in talib.MACD(CLOSES, 12, 26, 9))
    upper, middle, lower = (series[-1] for series in talib.BBANDS(CLOSES, 20, 2, 2))
    wanted = {
        "sma_20": talib.SMA(CLOSES, 20)[-1],
        "ema_12": talib.EMA(CLOSES, 12)[-1],
        "ema_26": talib.EMA(CLOSES, 26)[-1],
        "rsi_14": talib.RSI(CLOSES, 14)[-1],
        "macd": macd,
        "macd_signal": signal,
        "macd_histogram": histogram,
        "bollinger_upper": upper,
        "bollinger_middle": middle,
        "bollinger_lower": lower,
    }
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, rel=1e-9), name


def test_what_lies_before_the_kept_closes_changes_nothing() -> None:
    assert compute(CLOSES) == compute(CLOSES[-KEPT_MINUTES:])


@pytest.mark.parametrize("count", range(1, 40))
def test_a_value_is_there_as_soon_as_ta_lib_has_one(count: int) -> None:
    begins = {name: BEGINS.get(name, 20) for name in candle.INDICATORS}
    assert {name for name, value in compute(CLOSES[:count]).items() if value is not None} == {
        name for name, first in begins.items() if count >= first
    }


def test_a_price_that_stands_still_has_a_band_without_width() -> None:
    """TA-Lib's own, made of differences of squares, is some 0.001 wide here."""
    found = compute(np.concatenate([CLOSES[:100], np.full(20, 83_766.3)]))
    assert found["bollinger_upper"] == found["bollinger_middle"] == found["bollinger_lower"] == 83_766.3


@pytest.mark.parametrize("still", [1, 100, WINDOW_MINUTES - 1])
def test_stillness_leaves_the_rsi_where_it_was(still: int) -> None:
    closes = np.concatenate([CLOSES, np.full(still, CLOSES[-1])])
    assert compute(closes)["rsi_14"] == pytest.approx(talib.RSI(CLOSES, 14)[-1], rel=1e-9)


def test_a_price_that_never_moved_has_the_rsi_that_ta_lib_gives_it() -> None:
    assert compute(np.full(50, 7.0))["rsi_14"] == talib.RSI(np.full(50, 7.0), 14)[-1] == 0.0

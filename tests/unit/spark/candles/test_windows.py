import math

import pytest
from tapeline_spark.candles.windows import compute

CLOSES = [100.0, 110.0, 121.0, 108.9, 108.9, 108.9]
VOLUMES = [1.0, 2.0, 0.0, 3.0, 0.0, 5.0]
BUYS = [1.0, 0.5, 0.0, 1.0, 0.0, 5.0]
TRADES = [1, 4, 0, 6, 0, 2]


def found() -> dict[str, float | None]:
    return compute(CLOSES, VOLUMES, BUYS, TRADES)


def test_windows_by_hand() -> None:
    values = found()
    assert values["return_bp_1m"] == 0.0
    assert values["return_bp_5m"] == pytest.approx(890)
    assert (values["volume_1m"], values["volume_5m"]) == (5.0, 10.0)
    assert (values["trades_per_s_1m"], values["trades_per_s_5m"]) == (2 / 60, 12 / 300)
    assert values["imbalance_1m"] == 1.0
    assert values["imbalance_5m"] == pytest.approx((6.5 - 3.5) / 10)
    steps = [math.log(1.1), math.log(1.1), math.log(0.9), 0.0, 0.0]
    mean = sum(steps) / 5
    wanted = math.sqrt(sum((step - mean) ** 2 for step in steps) / 4)
    assert values["volatility_bp_5m"] == pytest.approx(wanted * 10_000)


def test_what_a_symbol_is_not_known_long_enough_for_is_none() -> None:
    values = found()
    assert {name for name, value in values.items() if value is None} == {
        "volatility_bp_1m",
        *(f"{name}_{window}" for window in ("15m", "1h") for name in ("return_bp", "volatility_bp", "volume")),
        *(f"{name}_{window}" for window in ("15m", "1h") for name in ("trades_per_s", "imbalance")),
    }


def test_a_window_needs_one_close_more_than_it_has_minutes() -> None:
    values = compute(CLOSES[1:], VOLUMES[1:], BUYS[1:], TRADES[1:])
    assert values["return_bp_5m"] is None and values["volatility_bp_5m"] is None
    assert values["volume_5m"] == 10.0


def test_without_trades_there_is_no_imbalance() -> None:
    assert compute([1.0, 1.0], [1.0, 0.0], [1.0, 0.0], [1, 0])["imbalance_1m"] is None

import pytest
from tapeline import names


def test_an_identity_names_venue_market_type_symbol_and_id():
    assert names.identity("bybit", "spot", "BTCUSDT", "229") == "bybit|spot|BTCUSDT|229"


@pytest.mark.parametrize("part", ["", "a|b", "a b", "a\n"])
def test_a_part_that_could_be_read_as_two_is_refused(part):
    with pytest.raises(ValueError, match="trade identity"):
        names.identity("bybit", "spot", part, "229")


@pytest.mark.parametrize(
    ("stamp", "day"),
    [(1_767_225_599_999, "2025.12.31"), (1_767_225_600_000, "2026.01.01"), (1_709_164_800_000, "2024.02.29")],
)
def test_the_index_is_the_utc_day_of_the_trade(stamp, day):
    assert names.index_for_trade(stamp) == f"tapeline-trades-{day}"

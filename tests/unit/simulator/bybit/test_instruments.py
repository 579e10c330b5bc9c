"""Instruments have the description of the exchange; recorded ones derive it from their trades."""

from decimal import Decimal

import pytest
from tapeline.enums import MarketType
from tapeline_simulator.bybit.frames import NewerFields, instrument_of
from tapeline_simulator.bybit.instruments import coins, from_trades, plain
from tapeline_simulator.sources.listing import INVERSE_LISTING, LISTING
from tapeline_simulator.sources.market import SyntheticMarket


def test_recorded_symbol_is_described_by_the_digits_and_the_sum_of_its_trades():
    described = from_trades(MarketType.LINEAR, "SOLUSDT", 3, [("77.30", "5.1"), ("77.3", "10"), ("78", "0.25")])
    assert (described.tick_size, described.quantity_step, described.open_price) == ("0.01", "0.01", "77.30")
    assert Decimal(described.turnover_24h) == Decimal("77.30") * Decimal("15.1") + Decimal("19.5")
    assert described.volume_24h == "15.35"


@pytest.mark.parametrize(
    ("symbol", "parts"),
    [
        ("BTCUSDT", ("BTC", "USDT")),
        ("USDCUSDT", ("USDC", "USDT")),
        ("ETHBTC", ("ETH", "BTC")),
        ("BTCUSD1", ("BTC", "USD1")),
        ("BTCPERP", ("BTCPERP", "USDT")),
    ],
)
def test_coins_of_a_recorded_symbol_are_split(symbol, parts):
    assert coins(symbol) == parts


@pytest.mark.parametrize(("text", "shown"), [("1.500", "1.5"), ("1E+2", "100"), ("0.10", "0.1"), ("100", "100")])
def test_plain_number_has_no_exponent_and_no_trailing_zeros(text, shown):
    assert plain(Decimal(text)) == shown


def test_turnover_ranks_the_synthetic_market_like_its_trades():
    instruments = SyntheticMarket(1, 60, NewerFields()).instruments
    turnover = {instrument: Decimal(described.turnover_24h) for instrument, described in instruments.items()}
    for category in ("spot", "linear"):
        rows = [row for row in LISTING if row.market_type == category]
        by_size = sorted(rows, key=lambda row: row.share * row.notional, reverse=True)
        by_turnover = sorted(rows, key=lambda row: turnover[instrument_of(row.market_type, row.symbol)], reverse=True)
        assert by_size == by_turnover and by_turnover[0].symbol == "BTCUSDT"


def test_description_carries_the_steps_of_its_category():
    spot = from_trades(MarketType.SPOT, "BTCUSDT", 9, [("83805.1", "0.001466")]).describe()
    assert spot["priceFilter"] == {"tickSize": "0.1"} and spot["lotSizeFilter"]["basePrecision"] == "0.000001"
    linear = from_trades(MarketType.LINEAR, "BTCUSDT", 5, [("65114.20", "0.004")]).describe()
    assert (linear["priceScale"], linear["lotSizeFilter"]["qtyStep"]) == ("2", "0.001")
    assert (linear["quoteCoin"], linear["settleCoin"], linear["status"]) == ("USDT", "USDT", "Trading")


def test_inverse_has_the_shape_of_linear_with_sizes_in_usd_and_turnover_in_the_base_coin():
    described = from_trades(MarketType.INVERSE, "BTCUSD", 1, [("80000.00", "100"), ("50000.00", "300")])
    inverse = described.describe()
    assert set(inverse) == set(from_trades(MarketType.LINEAR, "BTCUSDT", 1, [("80000.00", "1")]).describe())
    assert (inverse["baseCoin"], inverse["quoteCoin"], inverse["settleCoin"]) == ("BTC", "USD", "BTC")
    assert (inverse["contractType"], inverse["lotSizeFilter"]["qtyStep"]) == ("InversePerpetual", "1")
    assert (described.turnover_24h, described.volume_24h) == ("0.00725", "400")


def test_listed_inverse_counts_volume_in_usd_and_turnover_in_the_base_coin():
    for row in INVERSE_LISTING:
        described = row.info(1, 2.0)
        assert Decimal(described.volume_24h) == Decimal(round(2.0 * row.notional * 86_400))
        in_base = Decimal(described.volume_24h) / Decimal(row.price)
        assert abs(Decimal(described.turnover_24h) - in_base) < Decimal("1e-7")

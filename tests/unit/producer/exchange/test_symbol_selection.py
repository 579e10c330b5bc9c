from collections.abc import Iterable

import pytest
from tapeline.enums import MarketType
from tapeline.instrument import Instrument
from tapeline_producer.exchange.symbol_selection import (
    InstrumentInfo,
    ListedInstrument,
    Market,
    SymbolSelection,
    Ticker,
    select_symbols,
)

SPOT, INVERSE = Market("bybit", MarketType.SPOT), Market("bybit", MarketType.INVERSE)
LISTED = [
    InstrumentInfo("AUSDT", "A", "USDT", "Trading"),
    InstrumentInfo("BUSDT", "B", "USDT", "Trading"),
    InstrumentInfo("CUSDC", "C", "USDC", "Trading"),
    InstrumentInfo("DUSDT", "D", "USDT", "PreLaunch"),
    InstrumentInfo("EUSDT", "E", "USDT", "Trading"),
]


def symbols(selected: Iterable[ListedInstrument]) -> tuple[str, ...]:
    return tuple(one.instrument.symbol for one in selected)


def test_symbols_are_ranked_by_turnover_as_a_number_not_as_text() -> None:
    tickers = [Ticker("AUSDT", "9"), Ticker("BUSDT", "10.5"), Ticker("EUSDT", "1e3")]
    selection = select_symbols(SPOT, (), LISTED, tickers, "USDT", 2)
    assert (symbols(selection.listed), selection.unlisted) == (("EUSDT", "BUSDT"), ())


def test_other_quote_coins_and_symbols_not_trading_are_left_out() -> None:
    tickers = [Ticker(s, "5") for s in ("CUSDC", "DUSDT", "GONEUSDT", "BUSDT", "AUSDT")]
    assert symbols(select_symbols(SPOT, (), LISTED, tickers, "USDT", 10).listed) == ("AUSDT", "BUSDT")


def test_ticker_without_a_usable_turnover_ranks_last() -> None:
    tickers = [Ticker("AUSDT", ""), Ticker("BUSDT", "NaN"), Ticker("EUSDT", "1")]
    assert symbols(select_symbols(SPOT, (), LISTED, tickers, "USDT", 1).listed) == ("EUSDT",)


def test_named_symbols_are_selected_as_named_and_unknown_ones_reported() -> None:
    selection = select_symbols(SPOT, ("CUSDC", "NOPE", "DUSDT"), LISTED, [], "USDT", 1)
    assert (symbols(selection.listed), symbols(selection.unlisted)) == (("CUSDC",), ("NOPE", "DUSDT"))


def test_selected_instruments_carry_the_assets_of_the_list_and_unknown_ones_none() -> None:
    assert select_symbols(SPOT, ("AUSDT", "NOPE", "DUSDT"), LISTED, [], "USDT", 1) == SymbolSelection(
        (ListedInstrument(Instrument("bybit", MarketType.SPOT, "AUSDT"), "A", "USDT"),),
        (
            ListedInstrument(Instrument("bybit", MarketType.SPOT, "NOPE"), None, None),
            ListedInstrument(Instrument("bybit", MarketType.SPOT, "DUSDT"), "D", "USDT"),
        ),
    )


@pytest.mark.parametrize("coin", ["", "B|C", "B C", "B" * 33])
def test_asset_that_the_record_cannot_hold_is_absent(coin: str) -> None:
    selection = select_symbols(SPOT, ("AUSDT",), [InstrumentInfo("AUSDT", coin, "USDT", "Trading")], [], "USDT", 1)
    assert [(one.base, one.quote) for one in selection.listed] == [(None, "USDT")]


def test_listed_symbol_that_breaks_the_rule_is_ignored() -> None:
    infos = [InstrumentInfo("A B", "A", "USDT", "Trading"), *LISTED]
    tickers = [Ticker("A B", "100"), Ticker("AUSDT", "1")]
    assert symbols(select_symbols(SPOT, (), infos, tickers, "USDT", 10).listed) == ("AUSDT",)


def test_inverse_contracts_are_ranked_by_volume_in_usd_whatever_the_quote_setting() -> None:
    infos = [InstrumentInfo(f"{base}USD", base, "USD", "Trading") for base in ("BTC", "XRP")]
    tickers = [Ticker("XRPUSD", turnover24h="9000000", volume24h="5"), Ticker("BTCUSD", "1", "80000")]
    (first,) = select_symbols(INVERSE, (), infos, tickers, "USDT", 1).listed
    assert first == ListedInstrument(Instrument("bybit", MarketType.INVERSE, "BTCUSD"), "BTC", "USD")

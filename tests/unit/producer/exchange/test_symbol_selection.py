from tapeline_producer.exchange.symbol_selection import Instrument, SymbolSelection, Ticker, select_symbols

LISTED = [
    Instrument("AUSDT", "USDT", "Trading"),
    Instrument("BUSDT", "USDT", "Trading"),
    Instrument("CUSDC", "USDC", "Trading"),
    Instrument("DUSDT", "USDT", "PreLaunch"),
    Instrument("EUSDT", "USDT", "Trading"),
]


def test_symbols_are_ranked_by_turnover_as_a_number_not_as_text() -> None:
    tickers = [Ticker("AUSDT", "9"), Ticker("BUSDT", "10.5"), Ticker("EUSDT", "1e3")]
    assert select_symbols((), LISTED, tickers, "USDT", 2) == SymbolSelection(("EUSDT", "BUSDT"), ())


def test_other_quote_coins_and_symbols_not_trading_are_left_out() -> None:
    tickers = [Ticker(s, "5") for s in ("CUSDC", "DUSDT", "GONEUSDT", "BUSDT", "AUSDT")]
    assert select_symbols((), LISTED, tickers, "USDT", 10).listed == ("AUSDT", "BUSDT")


def test_ticker_without_a_usable_turnover_ranks_last() -> None:
    tickers = [Ticker("AUSDT", ""), Ticker("BUSDT", "NaN"), Ticker("EUSDT", "1")]
    assert select_symbols((), LISTED, tickers, "USDT", 1).listed == ("EUSDT",)


def test_named_symbols_are_selected_as_named_and_unknown_ones_reported() -> None:
    assert select_symbols(("CUSDC", "NOPE", "DUSDT"), LISTED, [], "USDT", 1) == SymbolSelection(
        ("CUSDC",), ("NOPE", "DUSDT")
    )

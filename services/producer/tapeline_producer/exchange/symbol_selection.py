"""Selects the symbols to subscribe: the named ones, or those with the highest turnover.

Pure: bybit/rest.py fetches the input.
To rank by another criterion: change `_by_turnover`; turnover24h is in the quote coin on spot and linear.
Source: https://bybit-exchange.github.io/docs/v5/market/tickers and .../market/instrument
"""

from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

import msgspec


class Instrument(msgspec.Struct, rename="camel"):
    """One item of `instruments-info`."""

    symbol: str
    quote_coin: str = ""
    status: str = ""


class Ticker(msgspec.Struct):
    """One item of `tickers`; the exchange sends the number as text."""

    symbol: str
    turnover24h: str = "0"


class SymbolSelection(NamedTuple):
    """The selected symbols of one market_type; `unlisted` were named and are not traded there now."""

    listed: tuple[str, ...]
    unlisted: tuple[str, ...]


def select_symbols(
    named: Iterable[str], instruments: Iterable[Instrument], tickers: Iterable[Ticker], quote: str, top: int
) -> SymbolSelection:
    """Return the symbols of one market_type, by descending turnover.

    Args:
        named: symbols requested by name; if there are any, turnover is ignored.
        instruments: instruments of the market_type.
        tickers: 24 h tickers of the market_type; unused if symbols are named.
        quote: quote coin of symbols selected by turnover.
        top: number of symbols to select by turnover.
    """
    trading = {item.symbol: item for item in instruments if item.status == "Trading"}
    wanted = tuple(named)
    if wanted:
        return SymbolSelection(
            tuple(symbol for symbol in wanted if symbol in trading),
            tuple(symbol for symbol in wanted if symbol not in trading),
        )
    quoted = {symbol for symbol, item in trading.items() if item.quote_coin == quote}
    return SymbolSelection(_by_turnover(quoted, tickers)[:top], ())


def _by_turnover(symbols: set[str], tickers: Iterable[Ticker]) -> tuple[str, ...]:
    ranked = sorted(
        ((_number(ticker.turnover24h), ticker.symbol) for ticker in tickers if ticker.symbol in symbols),
        key=lambda pair: (-pair[0], pair[1]),
    )
    return tuple(symbol for _, symbol in ranked)


def _number(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return Decimal(0)
    return number if number.is_finite() else Decimal(0)

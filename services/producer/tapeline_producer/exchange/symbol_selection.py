"""Selects the instruments to subscribe: the named ones, or those with the highest turnover.

Pure: bybit/rest.py fetches the input.
To rank by another criterion: change `_turnover`, in the quote asset on every market.
Source: https://bybit-exchange.github.io/docs/v5/market/tickers and .../market/instrument
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple

import msgspec
from tapeline.enums import MarketType
from tapeline.instrument import SYMBOL_PATTERN, Instrument
from tapeline.trade import ASSET_PATTERN

_ASSET: Final = re.compile(ASSET_PATTERN.removeprefix("^").removesuffix("$"))
_SYMBOL: Final = re.compile(SYMBOL_PATTERN.removeprefix("^").removesuffix("$"))
_INVERSE_QUOTE: Final = "USD"
"""Every inverse contract is quoted in USD, so that PRODUCER_QUOTE does not apply."""


@dataclass(frozen=True, slots=True)
class ListedInstrument:
    """An instrument and its assets, as the exchange's list spells them; None where the list has none."""

    instrument: Instrument
    base: str | None = None
    quote: str | None = None


class InstrumentInfo(msgspec.Struct, rename="camel"):
    """One item of `instruments-info`."""

    symbol: str
    base_coin: str = ""
    quote_coin: str = ""
    status: str = ""


class Ticker(msgspec.Struct):
    """One item of `tickers`; the exchange sends numbers as text."""

    symbol: str
    turnover24h: str = "0"
    """In the quote asset; of inverse contracts in the base asset."""
    volume24h: str = "0"
    """In the base asset; of inverse contracts in the quote asset."""


class SymbolSelection(NamedTuple):
    """The selected instruments of one market type; `unlisted` were named and are not traded there now."""

    listed: tuple[ListedInstrument, ...]
    unlisted: tuple[ListedInstrument, ...]


class Market(NamedTuple):
    """One market of a venue."""

    venue: str
    market_type: MarketType


def select_symbols(
    market: Market,
    named: Iterable[str],
    infos: Iterable[InstrumentInfo],
    tickers: Iterable[Ticker],
    quote: str,
    top: int,
) -> SymbolSelection:
    """Return the instruments of one market, by descending turnover.

    Args:
        market: the market of the list.
        named: symbols requested by name; if there are any, turnover is ignored.
        infos: the exchange's list of the market; symbols that break the rule of `tapeline.instrument` are ignored.
        tickers: 24 h tickers of the market; unused if symbols are named.
        quote: quote asset of symbols selected by turnover, except for inverse contracts.
        top: number of symbols to select by turnover.

    Raises:
        ValueError: a named symbol breaks that rule.
    """
    listed = {item.symbol: item for item in infos if _SYMBOL.fullmatch(item.symbol)}
    trading = {symbol for symbol, item in listed.items() if item.status == "Trading"}
    wanted = tuple(named)
    if wanted:
        return SymbolSelection(
            tuple(_entry(market, symbol, listed) for symbol in wanted if symbol in trading),
            tuple(_entry(market, symbol, listed) for symbol in wanted if symbol not in trading),
        )
    is_inverse = market.market_type is MarketType.INVERSE
    coin = _INVERSE_QUOTE if is_inverse else quote
    quoted = {symbol for symbol in trading if listed[symbol].quote_coin == coin}
    ranked = sorted(
        ((_turnover(ticker, is_inverse), ticker.symbol) for ticker in tickers if ticker.symbol in quoted),
        key=lambda pair: (-pair[0], pair[1]),
    )
    return SymbolSelection(tuple(_entry(market, symbol, listed) for _, symbol in ranked[:top]), ())


def _entry(market: Market, symbol: str, listed: Mapping[str, InstrumentInfo]) -> ListedInstrument:
    instrument, info = Instrument(*market, symbol), listed.get(symbol)
    if info is None:
        return ListedInstrument(instrument)
    return ListedInstrument(instrument, _asset(info.base_coin), _asset(info.quote_coin))


def _asset(coin: str) -> str | None:
    return coin if _ASSET.fullmatch(coin) else None


def _turnover(ticker: Ticker, is_inverse: bool) -> Decimal:
    """Return the turnover of 24 h in the quote asset."""
    try:
        number = Decimal(ticker.volume24h if is_inverse else ticker.turnover24h)
    except InvalidOperation:
        return Decimal(0)
    return number if number.is_finite() else Decimal(0)

"""Builds the responses of Bybit V5's public REST API.

Pure: parameters and a view of the exchange in, `(retCode, retMsg, result)` out.
To add a path: add it to PATHS.
Source: https://bybit-exchange.github.io/docs/v5/market/recent-trade and its neighbours.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import parse_qs, quote, unquote

from tapeline.enums import MarketType
from tapeline.instrument import Instrument

from tapeline_simulator.bybit.frames import BybitTrade, instrument_of
from tapeline_simulator.bybit.instruments import InstrumentInfo, plain

PARAMETER_ERROR: Final = 10001
INVALID_SYMBOL: Final = 10029
CATEGORIES: Final = tuple(MarketType)
RECENT_LIMITS: Final = {MarketType.SPOT: (60, 60), MarketType.LINEAR: (500, 1000), MarketType.INVERSE: (500, 1000)}
"""(default, maximum) trades of recent-trade by category."""
INSTRUMENTS_LIMIT: Final = (500, 1000)

Parameters = Mapping[str, str]


class ExchangeView(Protocol):
    """The part of the exchange that REST uses."""

    @property
    def instruments(self) -> Mapping[Instrument, InstrumentInfo]:
        """Return the instruments by instrument."""

    def recent(self, instrument: Instrument, limit: int) -> list[BybitTrade]:
        """Return the last trades of a symbol, newest first."""


class Result(NamedTuple):
    """The variable parts of the envelope."""

    code: int
    message: str
    result: dict[str, Any]


class _Refused(Exception):
    """A request that Bybit refuses with a retCode."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def respond(path: str, parameters: Parameters, view: ExchangeView, now_ns: int) -> Result | None:
    """Return the result of one request.

    Args:
        path: what follows /v5/market/.
        parameters: the query, decoded.
        view: the exchange.
        now_ns: ns UTC.

    Returns:
        The result, or None for an unknown path.
    """
    handle = PATHS.get(path)
    if handle is None:
        return None
    try:
        return Result(0, "OK", handle(parameters, view, now_ns))
    except _Refused as refused:
        return Result(refused.code, refused.message, {})


def envelope(result: Result, now_ns: int) -> dict[str, Any]:
    """Return the body of a response."""
    return {
        "retCode": result.code,
        "retMsg": result.message,
        "result": result.result,
        "retExtInfo": {},
        "time": now_ns // 1_000_000,
    }


def _time(parameters: Parameters, view: ExchangeView, now_ns: int) -> dict[str, Any]:
    return {"timeSecond": str(now_ns // 10**9), "timeNano": str(now_ns)}


def _instruments_info(parameters: Parameters, view: ExchangeView, now_ns: int) -> dict[str, Any]:
    category = _category(parameters)
    limit = _limit(parameters, *INSTRUMENTS_LIMIT)
    listed = _select(parameters, view, category)
    if parameters.get("status", "Trading") != "Trading":
        listed = []
    if category is MarketType.SPOT:
        return {"category": category, "list": [info.describe() for info in listed]}
    if base_coin := parameters.get("baseCoin"):
        listed = [info for info in listed if info.base_coin == base_coin]
    start = _after_cursor(parameters.get("cursor", ""), listed)
    page = listed[start : start + limit]
    more = start + limit < len(listed)
    # Bybit returns the cursor URL-encoded.
    cursor = quote(f"first={page[0].symbol}&last={page[-1].symbol}", safe="") if more else ""
    return {
        "category": category,
        "list": [info.describe() for info in page],
        "nextPageCursor": cursor,
    }


def _after_cursor(cursor: str, listed: list[InstrumentInfo]) -> int:
    """Return the start of the next page; a client may have URL-encoded the cursor again."""
    if not cursor:
        return 0
    last = parse_qs(unquote(cursor)).get("last", [""])[0]
    for number, info in enumerate(listed):
        if info.symbol == last:
            return number + 1
    raise _Refused(PARAMETER_ERROR, "params error: cursor invalid")


def _tickers(parameters: Parameters, view: ExchangeView, now_ns: int) -> dict[str, Any]:
    category = _category(parameters)
    listed = _select(parameters, view, category)
    return {"category": category, "list": [_ticker(info, view) for info in listed]}


def _ticker(info: InstrumentInfo, view: ExchangeView) -> dict[str, Any]:
    trades = view.recent(instrument_of(info.market_type, info.symbol), 1)
    last = trades[0].price if trades else info.open_price
    tick, opened = Decimal(info.tick_size), Decimal(info.open_price)
    bought = bool(trades) and trades[0].side == "Buy"
    bid = Decimal(last) - tick if bought else Decimal(last)
    fields = {
        "symbol": info.symbol,
        "bid1Price": format(bid, "f"),
        "bid1Size": info.quantity_step,
        "ask1Price": format(bid + tick, "f"),
        "ask1Size": info.quantity_step,
        "lastPrice": last,
        "prevPrice24h": info.open_price,
        "price24hPcnt": plain((Decimal(last) / opened - 1).quantize(Decimal("0.0001"))),
        "highPrice24h": format(max(Decimal(last), opened), "f"),
        "lowPrice24h": format(min(Decimal(last), opened), "f"),
        "turnover24h": info.turnover_24h,
        "volume24h": info.volume_24h,
    }
    if info.market_type is MarketType.SPOT:
        return {**fields, "usdIndexPrice": last}
    return {**fields, "indexPrice": last, "markPrice": last, "fundingRate": "0.0001"}


def _recent_trade(parameters: Parameters, view: ExchangeView, now_ns: int) -> dict[str, Any]:
    category = _category(parameters)
    symbol = parameters.get("symbol", "")
    if not symbol:
        raise _Refused(PARAMETER_ERROR, "params error: symbol is required")
    _select(parameters, view, category)
    trades = view.recent(instrument_of(category, symbol), _limit(parameters, *RECENT_LIMITS[category]))
    return {"category": category, "list": [_executed(symbol, trade) for trade in trades]}


def _executed(symbol: str, trade: BybitTrade) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "execId": trade.trade_id,
        "symbol": symbol,
        "price": trade.price,
        "size": trade.quantity,
        "side": trade.side,
        "time": str(trade.traded_at),
        "isBlockTrade": trade.is_block_trade,
    }
    if trade.is_rpi is not None:
        fields["isRPITrade"] = trade.is_rpi
    if trade.sequence is not None:
        fields["seq"] = str(trade.sequence)
    return fields


def _category(parameters: Parameters) -> MarketType:
    category = parameters.get("category", "")
    if category not in CATEGORIES:
        raise _Refused(PARAMETER_ERROR, "params error: category invalid")
    return MarketType(category)


def _select(parameters: Parameters, view: ExchangeView, category: MarketType) -> list[InstrumentInfo]:
    listed = [info for instrument, info in view.instruments.items() if instrument.market_type is category]
    symbol = parameters.get("symbol", "")
    if not symbol:
        return listed
    chosen = [info for info in listed if info.symbol == symbol]
    if not chosen:
        raise _Refused(INVALID_SYMBOL, f"The requested symbol is invalid: {symbol}")
    return chosen


def _limit(parameters: Parameters, default: int, most: int) -> int:
    """Return the requested limit, capped at the maximum of the path."""
    text = parameters.get("limit", "") or str(default)
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0):
        raise _Refused(PARAMETER_ERROR, "params error: limit invalid")
    return min(int(text), most)


PATHS: Final[dict[str, Callable[[Parameters, ExchangeView, int], dict[str, Any]]]] = {
    "time": _time,
    "instruments-info": _instruments_info,
    "tickers": _tickers,
    "recent-trade": _recent_trade,
}

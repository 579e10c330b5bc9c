"""Encodes trades as Bybit V5 publicTrade frames.

Pure: no socket, no clock, no environment.
To support another category: add its key order to FORMATS.
Source: https://bybit-exchange.github.io/docs/v5/websocket/public/trade, and recorded frames.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple

import orjson
from tapeline import instrument as instruments
from tapeline.enums import MarketType
from tapeline.instrument import Instrument

MAX_TRADES_PER_FRAME: Final = 1024
"""Maximum trades of a frame; a larger taker order continues in the next frame with the same `seq`."""

VENUE: Final = "bybit"


def instrument_of(category: str, symbol: str) -> Instrument:
    """Return the instrument of a symbol; the same symbol trades in several categories."""
    return instruments.instrument_of(VENUE, category, symbol)


class BybitTrade(NamedTuple):
    """One fill.

    Attributes:
        trade_id: `i`.
        traded_at: `T`, ms UTC.
        price: decimal text, quote per base.
        quantity: decimal text, base; USD in inverse.
        side: "Buy" or "Sell", of the taker.
        sequence: `seq`, or None if unknown.
        frame_index: index among the symbol's trades of one (traded_at, sequence).
        tick_direction: `L`, or None in spot.
        is_block_trade: `BT`.
        is_rpi: `RPI`, or None if unknown.
    """

    trade_id: str
    traded_at: int
    price: str
    quantity: str
    side: str
    sequence: int | None
    frame_index: int
    tick_direction: str | None = None
    is_block_trade: bool = False
    is_rpi: bool | None = None


class Frame(NamedTuple):
    """One publicTrade message and its trades."""

    instrument: Instrument
    trades: Sequence[BybitTrade]
    payload: bytes


@dataclass(frozen=True, slots=True)
class NewerFields:
    """Fields that Bybit added in 2025; a reader must work without them."""

    sequence: bool = True
    rpi: bool = True


def _spot(symbol: str, trade: BybitTrade) -> dict[str, Any]:
    return {
        "i": trade.trade_id,
        "T": trade.traded_at,
        "p": trade.price,
        "v": trade.quantity,
        "S": trade.side,
        "seq": trade.sequence,
        "s": symbol,
        "BT": trade.is_block_trade,
        "RPI": trade.is_rpi,
    }


def _linear(symbol: str, trade: BybitTrade) -> dict[str, Any]:
    return {
        "T": trade.traded_at,
        "s": symbol,
        "S": trade.side,
        "v": trade.quantity,
        "p": trade.price,
        "L": trade.tick_direction,
        "i": trade.trade_id,
        "BT": trade.is_block_trade,
        "RPI": trade.is_rpi,
        "seq": trade.sequence,
    }


FORMATS: Final[dict[str, Callable[[str, BybitTrade], dict[str, Any]]]] = {
    MarketType.SPOT: _spot,
    MarketType.LINEAR: _linear,
    MarketType.INVERSE: _linear,
}


def topic(symbol: str) -> str:
    """Return the topic of a symbol's trades."""
    return f"publicTrade.{symbol}"


def encode(instrument: Instrument, trades: Sequence[BybitTrade], sent_at_ms: int) -> bytes:
    """Return the JSON text of a frame, keys in the order of its category.

    Args:
        instrument: its market type is the category.
        trades: at most MAX_TRADES_PER_FRAME, ascending in time. A field that is None is left out.
        sent_at_ms: `ts`, ms UTC.
    """
    category, symbol = instrument.market_type, instrument.symbol
    write = FORMATS[category]
    data = [_present(write(symbol, trade)) for trade in trades]
    if category == MarketType.SPOT:
        return orjson.dumps({"topic": topic(symbol), "ts": sent_at_ms, "type": "snapshot", "data": data})
    return orjson.dumps({"topic": topic(symbol), "type": "snapshot", "ts": sent_at_ms, "data": data})


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    if fields["seq"] is None:
        del fields["seq"]
    if fields["RPI"] is None:
        del fields["RPI"]
    return fields


def split(instrument: Instrument, trades: Sequence[BybitTrade], delay_ms: int) -> Iterator[Frame]:
    """Yield the frames of one taker order.

    Args:
        instrument: its market type is the category.
        trades: its fills, at least one, all of one millisecond and one sequence.
        delay_ms: difference of `ts` and `T`.
    """
    for start in range(0, len(trades), MAX_TRADES_PER_FRAME):
        part = trades[start : start + MAX_TRADES_PER_FRAME]
        yield Frame(instrument, part, encode(instrument, part, part[0].traded_at + delay_ms))


class TickDirection:
    """Derives field `L`: the direction of each price against the previous price."""

    def __init__(self) -> None:
        self._price: int | Decimal | None = None
        self._up = True

    def next_direction(self, price: int | Decimal) -> str:
        """Return the direction of a price, given in any unit that keeps its order."""
        previous, self._price = self._price, price
        if previous is not None and price == previous:
            return "ZeroPlusTick" if self._up else "ZeroMinusTick"
        self._up = previous is None or price > previous
        return "PlusTick" if self._up else "MinusTick"


class FrameIndex:
    """Counts the trades of one symbol that share a (traded_at, sequence), across frames too."""

    def __init__(self) -> None:
        self._last: tuple[int, int | None] | None = None
        self._index = 0

    def next_index(self, traded_at: int, sequence: int | None) -> int:
        """Return the index of the next trade."""
        self._index = self._index + 1 if self._last == (traded_at, sequence) else 0
        self._last = (traded_at, sequence)
        return self._index

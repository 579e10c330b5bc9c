"""Parses Bybit V5 messages into trades, acknowledgements or parse failures, and encodes subscribe requests.

Pure: no socket, no clock, no environment. connection.py and rest.py move the bytes.
To accept another message: add its type to Message and a branch to `_parse_control`.
Source: https://bybit-exchange.github.io/docs/v5/websocket/public/trade and .../market/recent-trade
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from tapeline import trade
from tapeline.enums import MarketType, QuantityUnit, Side, TradeSource
from tapeline.instrument import SYMBOL_PATTERN
from tapeline.quantity import base_quantity

from tapeline_producer.exchange.symbol_selection import ListedInstrument

VENUE: Final = "bybit"
TOPIC_PREFIX: Final = "publicTrade."
Operation = Literal["subscribe", "unsubscribe"]
PING: Final = '{"op":"ping"}'
BACKFILL_LIMIT: Final = {MarketType.SPOT: 60, MarketType.LINEAR: 1000, MarketType.INVERSE: 1000}
_ARGS_PER_REQUEST: Final = {MarketType.SPOT: 10, MarketType.LINEAR: 50, MarketType.INVERSE: 50}
# The exchange allows 21,000; whether quotes and commas count is not documented, so they are included.
ARGS_CHARACTERS_PER_CONNECTION: Final = 18_000
_TOPIC_IN_TEXT: Final = re.compile(r"publicTrade\.[A-Za-z0-9._-]+")
_DECODE_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def _anchored(pattern: str) -> str:
    """Return `pattern` for Python's `search`, whose `$` would accept a newline at the end."""
    return pattern.removesuffix("$") + r"\Z"


_Decimal = Annotated[str, msgspec.Meta(pattern=_anchored(trade.DECIMAL_PATTERN))]
_Symbol = Annotated[str, msgspec.Meta(pattern=_anchored(SYMBOL_PATTERN))]
_TradeId = Annotated[str, msgspec.Meta(pattern=_anchored(trade.TRADE_ID_PATTERN))]
_Digits = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,19}\Z")]


class Trade(msgspec.Struct, gc=False):
    """A trade as it is written to Kafka: the fields are `tapeline.trade.WIRE_COLUMNS`, in that order."""

    venue: str
    market_type: MarketType
    symbol: str
    trade_id: str
    traded_at: int
    price: str
    quantity: str
    quantity_unit: QuantityUnit
    contract_size: str | None
    base_quantity: str
    base: str | None
    quote: str | None
    side: Side
    sequence: int | None
    frame_index: int
    is_block_trade: bool | None
    is_rpi: bool | None
    received_at: int
    produced_at: int
    source: TradeSource


class ParseFailure(NamedTuple):
    """Bytes that could not be parsed, and the reason."""

    raw: bytes
    reason: str


class TradeBatch(NamedTuple):
    """The trades of one frame or one REST response, oldest first; `item_count` includes the rejects."""

    trades: list[Trade]
    rejects: list[ParseFailure]
    item_count: int


class Ack(NamedTuple):
    """The response to a subscribe request; `req_id` is "" where the exchange omits it."""

    req_id: str
    success: bool
    text: str


class Pong(NamedTuple):
    """The response to a ping: the socket is alive; the data may still be stalled."""


Message = TradeBatch | Ack | Pong | ParseFailure


class _Fill(
    msgspec.Struct,
    gc=False,
    rename={
        "traded_at": "T", "symbol": "s", "side": "S", "quantity": "v", "price": "p",
        "trade_id": "i", "is_block_trade": "BT", "is_rpi": "RPI", "sequence": "seq",
    },
):  # fmt: skip
    traded_at: int | _Digits
    symbol: _Symbol
    side: Side
    quantity: _Decimal
    price: _Decimal
    trade_id: _TradeId
    is_block_trade: bool | None = None
    is_rpi: bool | None = None
    sequence: int | _Digits | None = None


class _RestFill(
    msgspec.Struct,
    gc=False,
    rename={
        "traded_at": "time", "quantity": "size", "trade_id": "execId", "is_block_trade": "isBlockTrade",
        "is_rpi": "isRPITrade", "sequence": "seq",
    },
):  # fmt: skip
    traded_at: int | _Digits
    symbol: _Symbol
    side: Side
    quantity: _Decimal
    price: _Decimal
    trade_id: _TradeId
    is_block_trade: bool | None = None
    is_rpi: bool | None = None
    sequence: int | _Digits | None = None


class _Frame(msgspec.Struct, gc=False):
    topic: str
    data: list[_Fill]


class _Envelope(msgspec.Struct):
    topic: Any = None
    data: msgspec.Raw = msgspec.Raw(b"null")
    op: Any = None
    ret_msg: Any = None
    req_id: Any = None
    success: Any = None


_decode_frame: Final = msgspec.json.Decoder(_Frame).decode
_decode_envelope: Final = msgspec.json.Decoder(_Envelope).decode
_decode_items: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_fill: Final = msgspec.json.Decoder(_Fill).decode
_decode_rest_fill: Final = msgspec.json.Decoder(_RestFill).decode


def parse_frame(frame: bytes, expected: Mapping[str, ListedInstrument], received_at_ms: int) -> Message:
    """Parse one WebSocket frame; never raises for any bytes.

    Args:
        frame: bytes of the frame.
        expected: instruments of this connection by symbol; a trade of another symbol is a parse failure.
        received_at_ms: receive time of the frame, ms UTC.
    """
    try:
        fast = _decode_frame(frame)
    except _DECODE_ERRORS:
        return _parse_item_by_item(frame, expected, received_at_ms)
    listed = _expected_instrument(fast.topic, expected)
    if listed is None:
        return ParseFailure(frame, _topic_error(fast.topic))
    trades = []
    try:
        for fill in fast.data:
            trades.append(_build_trade(fill, listed, received_at_ms, TradeSource.STREAM))  # noqa: PERF401
    except ValueError:
        return _parse_item_by_item(frame, expected, received_at_ms)
    return TradeBatch(trades, [], len(trades))


def parse_recent_trades(items: bytes, listed: ListedInstrument, received_at_ms: int) -> TradeBatch:
    """Parse a `recent-trade` response into trades, oldest first.

    Args:
        items: JSON of `result.list`, newest first as the exchange sends it.
        listed: requested instrument.
        received_at_ms: receive time of the response, ms UTC.

    Raises:
        ValueError: `items` is no JSON array.
    """
    raws = _decode_items(items)
    raws.reverse()

    def decode(raw: msgspec.Raw) -> Trade:
        return _build_trade(_decode_rest_fill(raw), listed, received_at_ms, TradeSource.BACKFILL)

    return _parse_each(raws, decode)


def _expected_instrument(topic: str, expected: Mapping[str, ListedInstrument]) -> ListedInstrument | None:
    return expected.get(topic.removeprefix(TOPIC_PREFIX)) if topic.startswith(TOPIC_PREFIX) else None


def _parse_item_by_item(frame: bytes, expected: Mapping[str, ListedInstrument], received_at_ms: int) -> Message:
    try:
        envelope = _decode_envelope(frame)
        if envelope.topic is None:
            return _parse_control(envelope, frame)
        listed = _expected_instrument(envelope.topic, expected) if isinstance(envelope.topic, str) else None
        if listed is None:
            return ParseFailure(frame, _topic_error(envelope.topic))
        raws = _decode_items(envelope.data)
    except _DECODE_ERRORS as error:
        return ParseFailure(frame, f"the frame is not a V5 message: {error}")

    def decode(raw: msgspec.Raw) -> Trade:
        return _build_trade(_decode_fill(raw), listed, received_at_ms, TradeSource.STREAM)

    return _parse_each(raws, decode)


def _parse_each(raws: Iterable[msgspec.Raw], decode: Callable[[msgspec.Raw], Trade]) -> TradeBatch:
    """Parse trades one by one, so that an invalid one does not reject the others."""
    trades: list[Trade] = []
    rejects: list[ParseFailure] = []
    for raw in raws:
        try:
            trades.append(decode(raw))
        except (*_DECODE_ERRORS, ValueError) as error:
            rejects.append(ParseFailure(bytes(raw), f"the trade cannot be parsed: {error}"))
    return TradeBatch(trades, rejects, len(trades) + len(rejects))


def _parse_control(envelope: _Envelope, frame: bytes) -> Message:
    if envelope.ret_msg == "pong" or envelope.op == "pong":
        return Pong()
    if isinstance(envelope.success, bool):
        return Ack(str(envelope.req_id or ""), envelope.success, str(envelope.ret_msg or ""))
    return ParseFailure(frame, "the frame is neither a topic message nor a response to a request")


def _topic_error(topic: object) -> str:
    return f"topic was {str(topic)[:100]!r}; it must be {TOPIC_PREFIX}<a symbol this connection subscribed to>"


def _build_trade(fill: _Fill | _RestFill, listed: ListedInstrument, received_at_ms: int, source: TradeSource) -> Trade:
    instrument = listed.instrument
    market_type, symbol = instrument.market_type, instrument.symbol
    traded_at = int(fill.traded_at)
    sequence = None if fill.sequence is None else int(fill.sequence)
    if not trade.EARLIEST_MS <= traded_at <= trade.LATEST_MS:
        raise ValueError(f"time was {str(traded_at)[:40]}; it must be milliseconds since 1970 UTC")
    if sequence is not None and not 0 <= sequence < 2**63:
        raise ValueError(f"sequence was {str(sequence)[:40]}; it must fit 63 bits")
    if fill.symbol != symbol:
        raise ValueError(f"symbol was {fill.symbol!r} under the topic of {symbol!r}; they must agree")
    # An inverse contract is 1 USD.
    unit = QuantityUnit.QUOTE if market_type is MarketType.INVERSE else QuantityUnit.BASE
    in_base = base_quantity(fill.quantity, fill.price, unit, market_type, None)
    return Trade(
        instrument.venue, market_type, symbol, fill.trade_id, traded_at, fill.price, fill.quantity, unit, None, in_base,
        listed.base, listed.quote, fill.side, sequence, 0, fill.is_block_trade, fill.is_rpi, received_at_ms, 0, source,
    )  # fmt: skip


def trade_topic(symbol: str) -> str:
    """Return the topic of a symbol's trades."""
    return TOPIC_PREFIX + symbol


def topics_in_text(text: str) -> set[str]:
    """Return the topics named in an error text of the exchange."""
    return set(_TOPIC_IN_TEXT.findall(text))


def encode_request(operation: Operation, req_id: str, topics: Iterable[str]) -> str:
    """Return the JSON of a request to subscribe or unsubscribe topics."""
    return msgspec.json.encode({"req_id": req_id, "op": operation, "args": list(topics)}).decode()


def request_batches(market_type: MarketType, topics: list[str]) -> Iterator[tuple[str, ...]]:
    """Split topics into requests that the exchange accepts: spot refuses more than 10 topics a request."""
    size = _ARGS_PER_REQUEST[market_type]
    for start in range(0, len(topics), size):
        yield tuple(topics[start : start + size])


def args_characters(symbol: str) -> int:
    """Return how many characters a symbol takes of a connection's ARGS_CHARACTERS_PER_CONNECTION."""
    return len(trade_topic(symbol)) + len('"",')

"""Decodes Kafka values into trades, or into a reason why a value is not a trade. Pure.

The struct is generated from tapeline.trade.WIRE_COLUMNS, so its limits are those of the pydantic model; msgspec
decodes several times faster.
"""

from typing import Annotated, Any, Final, NamedTuple

import msgspec
from tapeline import trade


def _field(column: trade.Column) -> tuple[Any, ...]:
    value: Any = column.kind.python
    if column.kind.constraints:
        value = Annotated[(value, msgspec.Meta(**column.kind.constraints))]
    return (column.name, value | None, None) if column.nullable else (column.name, value)


# Required fields must come before those with a default.
_FIELDS: Final = sorted((_field(column) for column in trade.WIRE_COLUMNS), key=len)
WireTrade: Final = msgspec.defstruct("WireTrade", _FIELDS, forbid_unknown_fields=True, frozen=True, gc=False)
_decode = msgspec.json.Decoder(WireTrade).decode
_encode = msgspec.json.Encoder().encode


class DecodedTrade(NamedTuple):
    """One trade with its original bytes and its position in the log."""

    trade: Any
    value: bytes
    partition: int
    offset: int


class UnreadableRecord(NamedTuple):
    """A value that is not a trade, and the reason."""

    value: bytes
    partition: int
    offset: int
    reason: str


def decode_trade(value: bytes | None, partition: int, offset: int) -> DecodedTrade | UnreadableRecord:
    """Return the trade of one Kafka value, or the reason why there is none."""
    if value is None:
        return UnreadableRecord(b"", partition, offset, "value was null; a trade is a JSON object")
    try:
        return DecodedTrade(_decode(value), value, partition, offset)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
        return UnreadableRecord(value, partition, offset, str(error))


def object_body(record: DecodedTrade) -> bytes:
    """Return the trade's JSON object on one line without its closing brace; digits unchanged."""
    body = record.value.rstrip()
    if b"\n" in body or b"\r" in body:
        # Valid JSON, but a line break would end the document inside a bulk request.
        body = _encode(record.trade)
    return body[:-1]

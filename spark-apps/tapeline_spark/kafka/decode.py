"""Kafka values to trades: bytes in, typed records or a reason out.

Pure. The struct is made from tapeline.trade.COLUMNS, so the limits are those of the pydantic model;
msgspec reads it several times faster.
"""

from typing import Annotated, Any, Final, NamedTuple

import msgspec
from tapeline import trade


def _field(column: trade.Column) -> tuple[Any, ...]:
    value: Any = column.kind.python
    if column.kind.constraints:
        value = Annotated[(value, msgspec.Meta(**column.kind.constraints))]
    return (column.name, value | None, None) if column.nullable else (column.name, value)


# A missing optional must not move the required ones behind a default.
_FIELDS: Final = sorted((_field(column) for column in trade.WIRE_COLUMNS), key=len)
WireTrade: Final = msgspec.defstruct("WireTrade", _FIELDS, forbid_unknown_fields=True, frozen=True, gc=False)
_decode = msgspec.json.Decoder(WireTrade).decode
_encode = msgspec.json.Encoder().encode


class Record(NamedTuple):
    """One readable trade with the bytes it came as and where it stood in the log."""

    trade: Any
    value: bytes
    partition: int
    offset: int


class Unreadable(NamedTuple):
    """A value that is no trade, and why."""

    value: bytes
    partition: int
    offset: int
    reason: str


def read(value: bytes | None, partition: int, offset: int) -> Record | Unreadable:
    """Return the trade in one Kafka value, or why there is none."""
    if value is None:
        return Unreadable(b"", partition, offset, "value was null; a trade is a JSON object")
    try:
        return Record(_decode(value), value, partition, offset)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
        return Unreadable(value, partition, offset, str(error))


def object_body(record: Record) -> bytes:
    """Return the trade's JSON object without its closing brace, on one line, digits untouched."""
    body = record.value.rstrip()
    if b"\n" in body or b"\r" in body:
        # Legal JSON, but a line break would end the document inside a bulk request.
        body = _encode(record.trade)
    return body[:-1]

"""Decodes Kafka values into trades, or into a reason why a value is not a trade. Pure.

The structs are generated from tapeline.trade.WIRE_COLUMNS, so their limits are those of the pydantic model; msgspec
decodes several times faster. Patterns are half of that time: those of fields with few values, such as the symbol, are
checked once for each combination of values.
The reader is tolerant, the writer is strict: a record with fields that this release does not know is decoded without
them and encoded anew, so that such a field never reaches a document, whatever its name.
"""

from operator import attrgetter
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from tapeline import trade

_FEW_VALUES: Final = ("venue", "symbol", "contract_size", "base", "quote")
"""Fields that repeat from trade to trade. `base_quantity` repeats `quantity`, unless the venue counts otherwise."""
_MAX_CHECKED: Final = 65_536


def _type_of(column: trade.Column, are_patterns_checked: bool) -> Any:
    limits = dict(column.kind.constraints)
    if not are_patterns_checked and column.name in (*_FEW_VALUES, "base_quantity"):
        limits.pop("pattern")
    if "pattern" in limits:
        # `$` of Python's expressions, unlike pydantic's, also matches before a line break at the end.
        limits["pattern"] = limits["pattern"].removesuffix("$") + r"\Z"
    kind: Any = Annotated[(column.kind.python, msgspec.Meta(**limits))] if limits else column.kind.python
    return kind | None if column.nullable else kind


def _struct(name: str, default: Any, *, is_strict: bool, are_patterns_checked: bool = True) -> Any:
    """Return a struct of the wire columns; a nullable column that a record lacks becomes `default`."""
    fields: list[Any] = []
    for column in trade.WIRE_COLUMNS:
        kind = _type_of(column, are_patterns_checked)
        optional = (column.name, kind if default is None else kind | msgspec.UnsetType, default)
        fields.append(optional if column.nullable else (column.name, kind))
    # By keyword only: the order of the columns stays, also where one with a default comes first.
    return msgspec.defstruct(name, fields, kw_only=True, forbid_unknown_fields=is_strict, frozen=True, gc=False)


WireTrade: Final = _struct("WireTrade", None, is_strict=True, are_patterns_checked=False)
_CheckedTrade: Final = _struct("CheckedTrade", None, is_strict=True)
# A field that is absent stays absent when it is encoded anew.
_TolerantTrade: Final = _struct("TolerantTrade", msgspec.UNSET, is_strict=False)
_decode_unchecked = msgspec.json.Decoder(WireTrade).decode
_decode_checked = msgspec.json.Decoder(_CheckedTrade).decode
_few_values: Final = attrgetter(*_FEW_VALUES)
_checked: Final[set[tuple[str | None, ...]]] = set()
"""Combinations of the values of _FEW_VALUES that keep their patterns; emptied when it is full."""
_decode_tolerantly = msgspec.json.Decoder(_TolerantTrade).decode
_encode = msgspec.json.Encoder().encode
# The last one: an unknown field may be nested deeper than the decoder goes.
_ERRORS: Final = (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def _decode(value: bytes) -> Any:
    """Return the WireTrade of a record of known fields only.

    Raises:
        _ERRORS: the value is not one.
    """
    record = _decode_unchecked(value)
    few = _few_values(record)
    if few not in _checked or record.base_quantity != record.quantity:
        _decode_checked(value)
        if len(_checked) >= _MAX_CHECKED:
            _checked.clear()
        _checked.add(few)
    return record


TopicPartition = tuple[str, int]
"""(topic, partition): keys every state of the log, since a partition's number alone says no topic."""


class DecodedTrade(NamedTuple):
    """One trade with its bytes and its position in the log.

    Attributes:
        trade: WireTrade.
        value: the original bytes, or those of `trade` where it was encoded anew; they hold known fields only.
        topic: of the record.
        partition: of the record.
        offset: of the record.
        is_reencoded: the record held fields that this release does not know.
    """

    trade: Any
    value: bytes
    topic: str
    partition: int
    offset: int
    is_reencoded: bool = False


class UnreadableRecord(NamedTuple):
    """A value that is not a trade, and the reason."""

    value: bytes
    topic: str
    partition: int
    offset: int
    reason: str


def decode_trade(value: bytes | None, topic: str, partition: int, offset: int) -> DecodedTrade | UnreadableRecord:
    """Return the trade of one Kafka value, or the reason why there is none."""
    if value is None:
        return UnreadableRecord(b"", topic, partition, offset, "value was null; a trade is a JSON object")
    try:
        return DecodedTrade(_decode(value), value, topic, partition, offset)
    except _ERRORS:
        return _decode_slowly(value, topic, partition, offset)


def _decode_slowly(value: bytes, topic: str, partition: int, offset: int) -> DecodedTrade | UnreadableRecord:
    """Decode a value that is not a record of known fields only."""
    try:
        known = _encode(_decode_tolerantly(value))
        return DecodedTrade(_decode(known), known, topic, partition, offset, is_reencoded=True)
    except _ERRORS as error:
        return UnreadableRecord(value, topic, partition, offset, str(error))


def object_body(record: DecodedTrade) -> bytes:
    """Return the trade's JSON object on one line without its closing brace; digits unchanged, no unknown field."""
    body = record.value.rstrip()
    if b"\n" in body or b"\r" in body:
        # Valid JSON, but a line break would end the document inside a bulk request.
        body = _encode(record.trade)
    return body[:-1]

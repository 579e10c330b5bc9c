"""Decodes Arrow request bodies into a float32 matrix, and encodes probabilities as an Arrow stream.

A stream is read message by message: buffers are views of the body, so the body limit bounds the memory. What
would break that bound is refused before it is read: compressed buffers (a few bytes that decompress to
gigabytes), dictionaries and nested types.
Source of the compression check: format/Message.fbs of Apache Arrow, a stable format.
"""

import struct
from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa
from tapeline.model.features import FEATURE_NAMES
from tapeline.model.forest import Floats, Singles

from tapeline_inference.errors import InvalidRows, Malformed

_TYPES: Final = (pa.float64(), pa.float32())
_FLOAT32_SCHEMA: Final = pa.schema([(name, pa.float32()) for name in FEATURE_NAMES])
_RESPONSE_SCHEMA: Final = pa.schema([pa.field("probability", pa.float64(), nullable=False)])
_RESPONSE_HEADER: Final = _RESPONSE_SCHEMA.serialize().to_pybytes()
# Arrow accepts a truncated stream as a whole one.
_END: Final = b"\xff\xff\xff\xff\x00\x00\x00\x00"
_HEADER_FIELD: Final = 2
_COMPRESSION_FIELD: Final = 3


def decode(body: bytes, rows_max: int) -> Singles:
    """Return the (n, k) float32 matrix of one Arrow stream.

    Args:
        body: schema, record batches, end of stream, and nothing after it.
        rows_max: most rows.

    Raises:
        Malformed: it is no such stream.
        InvalidRows: its columns, types, nulls, values or number of rows break a rule.
    """
    # Arrow's own errors derive from ValueError, KeyError, TypeError, OSError, MemoryError or this base.
    try:
        batches = list(_batches(body, rows_max))
    except (pa.ArrowException, ValueError, OSError, EOFError, MemoryError, TypeError, KeyError):
        raise Malformed("no readable Arrow stream") from None
    count = sum(batch.num_rows for batch in batches)
    if not count:
        raise InvalidRows("the stream had 0 rows; it must have at least 1")
    matrix = np.empty((count, len(FEATURE_NAMES)), dtype=np.float32)
    _fill(matrix, batches)
    if not np.all(np.isfinite(matrix)):
        column = FEATURE_NAMES[int(np.argmin(np.all(np.isfinite(matrix), axis=0)))]
        raise InvalidRows(f"column {column} was not finite within float32 in every row; leave such rows out")
    return matrix


def _batches(body: bytes, rows_max: int) -> Iterator[pa.RecordBatch]:
    source = pa.BufferReader(body)
    messages = _messages(pa.ipc.MessageReader.open_stream(source))
    first = next(messages, None)
    if first is None or first.type != "schema":
        raise Malformed("an Arrow stream that does not begin with a schema")
    schema = pa.ipc.read_schema(first)
    _check_schema(schema)
    rows = 0
    for message in messages:
        if message.type != "record batch" or is_compressed(message.metadata.to_pybytes()):
            raise Malformed("an Arrow stream with more than plain record batches; send it uncompressed")
        batch = pa.ipc.read_record_batch(message, schema)
        batch.validate(full=True)
        rows += batch.num_rows
        if rows > rows_max:
            raise InvalidRows(f"the stream had above {rows_max} rows; send fewer rows in one request")
        yield batch
    if source.tell() != len(body) or not body.endswith(_END):
        raise Malformed("not exactly one whole Arrow stream")


def _messages(reader: pa.MessageReader) -> Iterator[pa.Message]:
    while True:
        try:
            message = reader.read_next_message()
        except StopIteration:
            return
        yield message


def _check_schema(schema: pa.Schema) -> None:
    if schema.equals(_FLOAT32_SCHEMA):
        return
    if tuple(schema.names) != FEATURE_NAMES:
        raise InvalidRows(f"the columns must be exactly these, in this order: {', '.join(FEATURE_NAMES)}")
    for field in schema:
        if field.type not in _TYPES:
            raise InvalidRows(f"column {field.name} must be float64 or float32")


def _fill(matrix: Singles, batches: list[pa.RecordBatch]) -> None:
    start = 0
    # A value beyond float32 becomes infinite, which the caller refuses.
    with np.errstate(over="ignore"):
        for batch in batches:
            if any(column.null_count for column in batch.columns):
                names = [name for name, column in zip(FEATURE_NAMES, batch.columns, strict=True) if column.null_count]
                raise InvalidRows(f"column {names[0]} had nulls; leave such rows out")
            matrix[start : start + batch.num_rows] = batch.to_tensor(row_major=True).to_numpy()
            start += batch.num_rows


def is_compressed(metadata: bytes) -> bool:
    """Return whether the flatbuffer of a record batch names a compression.

    Raises:
        ValueError: it is too damaged to read.
    """
    try:
        message = _u32(metadata, 0)
        header = _field(metadata, message, _HEADER_FIELD)
        if header is None:
            raise ValueError("message was without a header; it must have one")
        batch = header + _u32(metadata, header)
        return _field(metadata, batch, _COMPRESSION_FIELD) is not None
    except struct.error as error:
        raise ValueError(f"flatbuffer was damaged ({error}); send it again") from None


def _u32(data: bytes, at: int) -> int:
    return int(struct.unpack_from("<I", data, at)[0])


def _field(data: bytes, table: int, number: int) -> int | None:
    """Position of a field of a flatbuffer table, or None where it is absent."""
    vtable = table - int(struct.unpack_from("<i", data, table)[0])
    if vtable < 0:
        raise ValueError(f"table was at {table} with its index before the start; send it again")
    size = int(struct.unpack_from("<H", data, vtable)[0])
    slot = 4 + 2 * number
    offset = int(struct.unpack_from("<H", data, vtable + slot)[0]) if slot < size else 0
    return table + offset if offset else None


def encode(probabilities: Floats) -> bytes:
    """Return an Arrow stream of one column, `probability`, in the order of the request."""
    batch = pa.record_batch([pa.array(probabilities)], schema=_RESPONSE_SCHEMA)
    # A stream is its messages and its end marker; a writer object for one batch costs three times as much.
    return b"".join([_RESPONSE_HEADER, memoryview(batch.serialize()), _END])

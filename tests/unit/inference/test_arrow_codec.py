import random

import numpy as np
import pyarrow as pa
import pytest
from tapeline.model.features import FEATURE_NAMES
from tapeline_inference import arrow_codec
from tapeline_inference.errors import ApiError, InvalidRows, Malformed

from unit.inference import factories

X = factories.rows(10, seed=1).astype(np.float64)
ROWS_MAX = 50


def table(x: np.ndarray = X, names: tuple[str, ...] = FEATURE_NAMES, kind: pa.DataType | None = None) -> pa.Table:
    return pa.table([pa.array(column, type=kind) for column in x.T], names=list(names))


def stream(content: pa.Table, batch_rows: int = 1_000, compression: str | None = None) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, content.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(content, max_chunksize=batch_rows)
    return sink.getvalue().to_pybytes()


def with_first(array: pa.Array) -> pa.Table:
    return table().set_column(0, FEATURE_NAMES[0], array)


def one_value(value: float) -> bytes:
    x = X.copy()
    x[3, 2] = value
    return stream(table(x))


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32()])
@pytest.mark.parametrize("batch_rows", [3, 1_000])
def test_a_stream_comes_out_as_its_matrix(kind: pa.DataType, batch_rows: int) -> None:
    matrix = arrow_codec.decode(stream(table(kind=kind), batch_rows), ROWS_MAX)
    assert matrix.flags.c_contiguous
    assert np.array_equal(matrix, X.astype(np.float32))


def test_a_slice_of_a_longer_table_comes_out_as_its_own_rows() -> None:
    assert np.array_equal(arrow_codec.decode(stream(table().slice(4, 3)), ROWS_MAX), X[4:7].astype(np.float32))


INVALID = {
    "columns in another order": (stream(table(names=FEATURE_NAMES[::-1])), "exactly these, in this order"),
    "a column too few": (stream(table().drop_columns([FEATURE_NAMES[3]])), "exactly these"),
    "a column twice": (stream(table(names=(*FEATURE_NAMES[:-1], FEATURE_NAMES[0]))), "exactly these"),
    "integers": (stream(with_first(pa.array(range(10)))), "must be float64 or float32"),
    "text": (stream(with_first(pa.array(["1"] * 10))), "must be float64 or float32"),
    "lists": (stream(with_first(pa.array([[1.0]] * 10))), "must be float64 or float32"),
    "a null": (stream(with_first(pa.array([None, *[1.0] * 9], pa.float64()))), "had nulls"),
    "NaN": (one_value(np.nan), f"column {FEATURE_NAMES[2]} was not finite"),
    "infinity": (one_value(-np.inf), "was not finite"),
    "a number beyond float32": (one_value(1e39), "was not finite"),
    "too many rows": (stream(table(factories.rows(ROWS_MAX + 1).astype(np.float64))), "above 50 rows"),
    "too many rows in small batches": (stream(table(factories.rows(51).astype(np.float64)), 1), "above 50 rows"),
    "no rows": (stream(table().slice(0, 0)), "0 rows"),
}


@pytest.mark.parametrize("case", INVALID)
def test_a_stream_that_breaks_a_rule_is_refused_by_that_rule(case: str) -> None:
    content, message = INVALID[case]
    with pytest.raises(InvalidRows, match=message):
        arrow_codec.decode(content, ROWS_MAX)


GOOD = stream(table())
ENCODED = stream(with_first(pa.array(["a"] * 10).dictionary_encode()))
MALFORMED = {
    "nothing": b"",
    "other bytes": b"PAR1" * 100,
    "a stream cut short": GOOD[: len(GOOD) // 2],
    "a stream without its end": GOOD[:-8],
    "lengths beyond the buffers": GOOD.replace((10).to_bytes(8, "little"), (45).to_bytes(8, "little")),
    "two streams": GOOD + GOOD,
    "bytes after the end": GOOD + b"\x00",
    "a message of two gigabytes": b"\xff\xff\xff\xff\xff\xff\xff\x7f",
    "a stream without a schema": b"\xff\xff\xff\xff\x00\x00\x00\x00",
    "lz4": stream(table(factories.rows(40).astype(np.float64)), compression="lz4"),
    "zstd": stream(table(factories.rows(40).astype(np.float64)), compression="zstd"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_what_is_not_one_plain_stream_is_malformed(case: str) -> None:
    with pytest.raises(Malformed):
        arrow_codec.decode(MALFORMED[case], ROWS_MAX)


def test_a_dictionary_is_refused() -> None:
    with pytest.raises(InvalidRows, match="must be float64"):
        arrow_codec.decode(ENCODED, ROWS_MAX)


def test_flipped_bytes_are_refused_or_read_and_nothing_else() -> None:
    chance = random.Random(5)
    for _ in range(3_000):
        damaged = bytearray(GOOD)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            matrix = arrow_codec.decode(bytes(damaged), ROWS_MAX)
        except ApiError:
            continue
        assert matrix.shape[1] == factories.COLUMNS
        assert np.all(np.isfinite(matrix))


def test_a_response_is_one_column_in_order() -> None:
    back = pa.ipc.open_stream(arrow_codec.encode(np.array([0.25, 1.0]))).read_all()
    assert back.schema.names == ["probability"]
    assert back["probability"].to_pylist() == [0.25, 1.0]

import json

import numpy as np
import pytest
from tapeline.model.features import FEATURE_NAMES
from tapeline_inference import json_codec
from tapeline_inference.errors import ApiError, InvalidRows, Malformed

from unit.inference import factories

GOOD = dict(zip(FEATURE_NAMES, range(factories.COLUMNS), strict=True))
FIRST = FEATURE_NAMES[0]
decode = json_codec.decoder(json_codec.request_model(3))


def body(*values: dict[str, object]) -> bytes:
    return json.dumps({"rows": values}).encode()


def with_first(literal: str) -> bytes:
    """One row whose first feature is written exactly so."""
    return body({**GOOD, FIRST: "@"}).replace(b'"@"', literal.encode())


def test_rows_come_out_in_the_order_of_the_features_whatever_their_own() -> None:
    matrix = decode(body(GOOD, dict(reversed(GOOD.items()))))
    assert matrix.dtype == np.float32
    assert matrix.tolist() == [list(range(factories.COLUMNS))] * 2


@pytest.mark.parametrize("literal", ["0", "-1.5e3", "3.4028234663852886e38", "1e-320", "-0.0"])
def test_any_finite_float32_is_taken(literal: str) -> None:
    assert decode(with_first(literal))[0, 0] == np.float32(float(literal))


REFUSED = {
    "NaN": with_first("NaN"),
    "Infinity": with_first("Infinity"),
    "a number beyond float64": with_first("1e400"),
    "a number beyond float32": with_first("1e39"),
    "a number beyond float32 below": with_first("-1e39"),
    "the text nan": with_first('"nan"'),
    "a bool": with_first("true"),
    "a number as text": with_first('"60000"'),
    "null": with_first("null"),
    "an integer of 4,000 digits": with_first("1" + "0" * 4_000),
    "a list for a number": with_first("[1]"),
    "an unknown field": body({**GOOD, "canary-in-name": 1}),
    "a missing field": body({name: GOOD[name] for name in FEATURE_NAMES[1:]}),
    "no rows": body(),
    "too many rows": body(*[GOOD] * 4),
    "a row that is a list": b'{"rows": [[1, 2]]}',
    "rows that are none": b'{"rows": 5}',
    "a list": b"[]",
    "an unknown field beside rows": b'{"rows": [], "canary-in-name": 1}',
    "text": with_first('"canary"'),
}


@pytest.mark.parametrize("case", REFUSED)
def test_rows_that_break_a_rule_are_refused_without_an_echo(case: str) -> None:
    with pytest.raises(InvalidRows) as refused:
        decode(REFUSED[case])
    message = str(refused.value)
    assert "canary" not in message
    assert len(message) < 1_000


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe{}", b'{"rows": "\xff"}', b"[" * 100_000, b'{"a":' * 100_000, b"nothing"],
    ids=["nothing", "cut", "utf-16", "bad utf-8", "deep lists", "deep objects", "no json"],
)
def test_a_body_that_is_no_json_is_malformed(content: bytes) -> None:
    with pytest.raises(Malformed):
        decode(content)


@pytest.mark.parametrize("digits", [4_300, 5_000, 50_000])
def test_a_huge_integer_is_refused_and_nothing_worse(digits: int) -> None:
    with pytest.raises(ApiError):
        decode(with_first("1" * digits))


def test_only_the_first_errors_are_shown() -> None:
    with pytest.raises(InvalidRows, match="and 52 more"):
        decode(body(*[{}] * 3))

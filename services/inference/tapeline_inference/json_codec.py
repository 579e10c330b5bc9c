"""Decodes JSON request bodies into a float32 matrix, strictly.

A number is a JSON number: not a bool, not text, finite and within float32. A row has every feature
and nothing else. No message repeats input, not even the name of an unknown field.
To add a rule for one feature: give it its own annotation in `_row_type`.
"""

from collections.abc import Callable
from operator import itemgetter
from typing import Annotated, Any, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from tapeline.model.features import FEATURE_NAMES
from tapeline.model.forest import Singles
from typing_extensions import TypedDict

from tapeline_inference.errors import InvalidRows, Malformed

FLOAT32_MAX: Final = float(np.finfo(np.float32).max)
_ERRORS_SHOWN: Final = 5
_KNOWN: Final = {"rows", *FEATURE_NAMES}
_values = itemgetter(*FEATURE_NAMES)


def _row_type() -> Any:
    number = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-FLOAT32_MAX, le=FLOAT32_MAX)]
    row = TypedDict("Row", dict.fromkeys(FEATURE_NAMES, number))  # type: ignore[misc]
    row.__pydantic_config__ = ConfigDict(extra="forbid", strict=True)  # type: ignore[attr-defined]
    return row


def request_model(rows_max: int) -> type[BaseModel]:
    """Return the model of a JSON request, for validation and for its schema.

    Args:
        rows_max: most rows of one request.
    """
    row: Any = _row_type()
    rows: Any = Annotated[list[row], Field(min_length=1, max_length=rows_max)]
    return create_model("PredictRequest", __config__=ConfigDict(extra="forbid", strict=True), rows=(rows, ...))


def decoder(model: type[BaseModel]) -> Callable[[bytes], Singles]:
    """Return the function that decodes a JSON body of `request_model` into (n, k) float32.

    The function raises Malformed where the body is no JSON, InvalidRows where a rule is broken.
    """

    def decode(body: bytes) -> Singles:
        try:
            request: Any = model.model_validate_json(body)
        except ValidationError as error:
            raise _error_from(error) from None
        return np.array([_values(row) for row in request.rows], dtype=np.float64).astype(np.float32)

    return decode


def _error_from(error: ValidationError) -> Malformed | InvalidRows:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    if problems[0]["type"] == "json_invalid":
        return Malformed("no valid JSON in UTF-8")
    shown = [f"{_format_location(problem['loc'])}: {problem['msg']}" for problem in problems[:_ERRORS_SHOWN]]
    more = f"; and {len(problems) - _ERRORS_SHOWN} more" if len(problems) > _ERRORS_SHOWN else ""
    return InvalidRows("; ".join(shown) + more)


def _format_location(location: tuple[int | str, ...]) -> str:
    parts = [str(part) if isinstance(part, int) or part in _KNOWN else "(unknown field)" for part in location]
    return ".".join(parts) or "body"

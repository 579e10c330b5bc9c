"""Error responses of the API.

    ApiError
      Malformed (400)  FeatureMismatch (409)  BodyTooLarge (413)  BodyTooSlow (408)
      WrongContentType (415)  InvalidRows (422)
      ModelUnavailable (503)  ModelExpired (503)  Overloaded (503)

No message repeats what the client sent: a response must be printable whatever the request was.
A client may retry on `is_retryable`, and on nothing else.
"""

import math
from http import HTTPStatus
from typing import ClassVar


class ApiError(Exception):
    """Base of every error response: a status, a code for programs and a message for people."""

    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR
    code: ClassVar[str] = "internal"
    headers: ClassVar[dict[str, str]] = {}
    closes: ClassVar[bool] = False
    """Whether unread bytes of the request may be left on the connection."""

    @property
    def is_retryable(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status is HTTPStatus.SERVICE_UNAVAILABLE


class Malformed(ApiError):
    """The body is not what its content type says."""

    status, code = HTTPStatus.BAD_REQUEST, "malformed"

    def __init__(self, what: str) -> None:
        super().__init__(f"the body was {what}")


class BodyTooSlow(ApiError):
    """The body did not arrive in time."""

    status, code, closes = HTTPStatus.REQUEST_TIMEOUT, "body_too_slow", True

    def __init__(self, limit_s: float) -> None:
        super().__init__(f"the body did not arrive within {limit_s:g} s; send fewer rows in one request")


class FeatureMismatch(ApiError):
    """The client computes other features than the model was trained on."""

    status, code = HTTPStatus.CONFLICT, "feature_mismatch"

    def __init__(self, expected: str, version: str) -> None:
        super().__init__(
            f"X-Feature-Hash was not {expected}, features version {version}; deploy client and model together"
        )


class BodyTooLarge(ApiError):
    """The body is longer than the limit, by its Content-Length or by count."""

    status, code, closes = HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", True

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"the body was above {limit_bytes} bytes; send fewer rows in one request")


class WrongContentType(ApiError):
    """Neither of the two content types."""

    status, code = HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"

    def __init__(self, allowed: tuple[str, ...]) -> None:
        super().__init__(f"the content type must be {' or '.join(allowed)}, without a content encoding")


class InvalidRows(ApiError):
    """The body can be parsed, and its rows break a rule."""

    status, code = HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_rows"


class ModelUnavailable(ApiError):
    """No model was promoted yet, or every promoted one was refused."""

    status, code = HTTPStatus.SERVICE_UNAVAILABLE, "model_unavailable"
    headers: ClassVar[dict[str, str]] = {"Retry-After": "5"}

    def __init__(self, why: str) -> None:
        super().__init__(f"no model is served: {why}")


class ModelExpired(ApiError):
    """The model has expired."""

    status, code = HTTPStatus.SERVICE_UNAVAILABLE, "model_expired"
    headers: ClassVar[dict[str, str]] = {"Retry-After": "60"}

    def __init__(self, expired_ms_ago: int) -> None:
        hours = math.floor(expired_ms_ago / 3_600_000)
        super().__init__(f"the model expired {hours} h ago; promote a newer one")


class Overloaded(ApiError):
    """The limit of concurrent requests is reached."""

    status, code, closes = HTTPStatus.SERVICE_UNAVAILABLE, "overloaded", True
    headers: ClassVar[dict[str, str]] = {"Retry-After": "1"}

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} requests are in progress, which is the limit; try again later")

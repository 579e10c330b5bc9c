"""What a client is told when there is no answer.

    ApiError
      InvalidQuery (422)
      ElasticsearchAway (503)  ElasticsearchRefused (503)  ElasticsearchSlow (504)
      TooManyClients (503)  TooManyQuestions (503)
      PageNotBuilt (503)

No message repeats what the client sent. A client may try again on `is_retryable`, and on nothing else.
"""

from http import HTTPStatus
from pathlib import Path
from typing import ClassVar


class ApiError(Exception):
    """An answer without content: a status, a code for programs and a message for people."""

    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR
    code: ClassVar[str] = "internal"
    headers: ClassVar[dict[str, str]] = {}

    @property
    def is_retryable(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)


class InvalidQuery(ApiError):
    """A parameter breaks a rule."""

    status, code = HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_query"


class ElasticsearchAway(ApiError):
    """It cannot be reached, or is not able to answer."""

    status, code = HTTPStatus.SERVICE_UNAVAILABLE, "elasticsearch_away"
    headers: ClassVar[dict[str, str]] = {"Retry-After": "2"}

    def __init__(self, why: str) -> None:
        super().__init__(f"Elasticsearch does not answer: {why}; the board asks on and shows it as soon as it is back")
        self.why = why


class ElasticsearchRefused(ElasticsearchAway):
    """It answers that we may not, or that the question is wrong: a mistake in the set-up or of ours."""

    code = "elasticsearch_refused"


class ElasticsearchSlow(ApiError):
    """It is there, and did not answer this question in time."""

    status, code = HTTPStatus.GATEWAY_TIMEOUT, "elasticsearch_slow"

    def __init__(self, limit_s: float) -> None:
        super().__init__(f"Elasticsearch did not answer within {limit_s:g} s; ask for a shorter time or fewer symbols")


class TooManyClients(ApiError):
    """As many streams as allowed are open."""

    status, code = HTTPStatus.SERVICE_UNAVAILABLE, "too_many_clients"
    headers: ClassVar[dict[str, str]] = {"Retry-After": "10"}

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} pages are watching, which is the limit; close one, or raise BOARD_CLIENTS_MAX")


class TooManyQuestions(ApiError):
    """As many different questions as allowed are being asked."""

    status, code = HTTPStatus.SERVICE_UNAVAILABLE, "too_many_questions"
    headers: ClassVar[dict[str, str]] = {"Retry-After": "5"}

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} different questions are being asked, which is the limit; try again later")


class PageNotBuilt(ApiError):
    """The service runs without the front end."""

    status, code = HTTPStatus.SERVICE_UNAVAILABLE, "page_not_built"

    def __init__(self, folder: Path) -> None:
        super().__init__(f"the page is not built: {folder} holds no index.html; run `make board`, then load this again")

"""Errors of the API: what a client gets instead of a response.

    ApiError
      InvalidQuery (422)
      ElasticsearchUnavailable (503)  ElasticsearchRequestRejected (503)  ElasticsearchTimeout (504)
      TooManyClients (503)  TooManyQueries (503)
      PageNotBuilt (503)

No message repeats client input. A client may retry on `is_retryable`, and on nothing else.
"""

from http import HTTPStatus
from pathlib import Path
from typing import ClassVar


class ApiError(Exception):
    """An error response: a status, a code for programs and a message for people."""

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


class ElasticsearchUnavailable(ApiError):
    """Elasticsearch cannot be reached, or cannot serve requests."""

    status, code = HTTPStatus.SERVICE_UNAVAILABLE, "elasticsearch_unavailable"
    headers: ClassVar[dict[str, str]] = {"Retry-After": "2"}

    def __init__(self, reason: str) -> None:
        super().__init__(f"Elasticsearch is unavailable: {reason}; the board retries and shows when it is back")
        self.reason = reason


class ElasticsearchRequestRejected(ElasticsearchUnavailable):
    """Elasticsearch rejects the request: privileges are missing, or the query is malformed."""

    code = "elasticsearch_request_rejected"


class ElasticsearchTimeout(ApiError):
    """Elasticsearch is reachable, and did not respond in time."""

    status, code = HTTPStatus.GATEWAY_TIMEOUT, "elasticsearch_timeout"

    def __init__(self, limit_s: float) -> None:
        super().__init__(f"Elasticsearch did not respond within {limit_s:g} s; use a shorter span or fewer symbols")


class TooManyClients(ApiError):
    """The limit of open streams is reached."""

    status, code = HTTPStatus.SERVICE_UNAVAILABLE, "too_many_clients"
    headers: ClassVar[dict[str, str]] = {"Retry-After": "10"}

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} pages have open streams, which is the limit; close one, or raise BOARD_CLIENTS_MAX")


class TooManyQueries(ApiError):
    """The limit of different concurrent queries is reached."""

    status, code = HTTPStatus.SERVICE_UNAVAILABLE, "too_many_queries"
    headers: ClassVar[dict[str, str]] = {"Retry-After": "5"}

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} different queries are running, which is the limit; try again later")


class PageNotBuilt(ApiError):
    """The service runs without the front end."""

    status, code = HTTPStatus.SERVICE_UNAVAILABLE, "page_not_built"

    def __init__(self, folder: Path) -> None:
        super().__init__(f"the page is not built: {folder} has no index.html; run `make board`, then reload")

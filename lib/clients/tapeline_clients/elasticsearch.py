"""Connecting to Elasticsearch, and which of its errors pass by themselves."""

from typing import Any

from elastic_transport import TransportError
from elasticsearch import ApiError, AsyncElasticsearch, Elasticsearch
from tapeline.service.connection import ElasticsearchConnection

from tapeline_clients import http


def connect(connection: ElasticsearchConnection, request_timeout_s: float, **options: Any) -> Elasticsearch:
    """Return a client that sends each request once: whoever calls it decides about another attempt.

    Args:
        connection: address, user and authorities; the password is read now.
        request_timeout_s: seconds until a request without a response fails.
        options: more options of the client.

    Raises:
        InvalidConnection: the password or the authorities cannot be read.
    """
    return Elasticsearch(connection.elasticsearch_url, **_options(connection, request_timeout_s), **options)


def connect_async(connection: ElasticsearchConnection, request_timeout_s: float, **options: Any) -> AsyncElasticsearch:
    """Return the same for asyncio; see `connect`."""
    return AsyncElasticsearch(connection.elasticsearch_url, **_options(connection, request_timeout_s), **options)


def _options(connection: ElasticsearchConnection, request_timeout_s: float) -> dict[str, Any]:
    once = {"max_retries": 0, "retry_on_timeout": False}
    return {**connection.client_options(), "request_timeout": request_timeout_s, **once}


def is_transient(error: BaseException) -> bool:
    """Return whether the same request may succeed later: no response came, or one that says so."""
    if isinstance(error, ApiError):
        return http.is_transient(error.status_code)
    return isinstance(error, TransportError)


def reason_of(error: ApiError | TransportError) -> str:
    """Return an error in words. The text of a transport's error omits the cause, such as an untrusted certificate."""
    text = str(error) if isinstance(error, ApiError) else str(error.message)
    return f"{type(error).__name__}: {text[:300]}"

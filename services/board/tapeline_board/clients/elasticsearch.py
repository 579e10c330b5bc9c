"""Every request to Elasticsearch: searches with bounded concurrency, and the health check. Thin edge, read only.

Nothing here calls `GET /`, which reduced builds of Elasticsearch do not have.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final

from elastic_transport import ConnectionTimeout, TransportError
from elasticsearch import ApiError as ElasticsearchError
from tapeline_clients.elasticsearch import connect_async, is_transient

from tapeline_board import errors, metrics
from tapeline_board.clients.search import Body, SearchRequest
from tapeline_board.live.availability import Availability
from tapeline_board.settings import Settings

_CAUSE: Final = re.compile(r"\[([\w ]+)")
_ALL_INDICES: Final = "tapeline-*"
_HEALTH_CHECK_TIMEOUT_S: Final = 3.0
_TIMEOUT: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.GATEWAY_TIMEOUT})
"""Transient statuses of an Elasticsearch that is reachable."""


class ElasticsearchClient:
    """Searches in Elasticsearch; connects on first use."""

    def __init__(self, settings: Settings, availability: Availability) -> None:
        """Prepare; the password is read, nothing is sent yet.

        Raises:
            InvalidConnection: password or authorities cannot be read.
        """
        self._settings, self.availability = settings, availability
        # No dead nodes: pollers and clients of the API decide when to retry.
        self._client = connect_async(
            settings,
            settings.request_timeout_s + 1,
            connections_per_node=settings.searches_max + 1,
            dead_node_backoff_factor=0,
        )
        self._slots = asyncio.Semaphore(settings.searches_max)
        self._queued = 0

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def search(self, name: str, request: SearchRequest) -> Body:
        """Return the complete response to a request; a partial one is an error.

        Args:
            name: of the query, for the metrics.
            request: index and body.

        Raises:
            ElasticsearchUnavailable: it cannot be reached, or cannot serve requests.
            ElasticsearchRequestRejected: privileges are missing, or the request is malformed.
            ElasticsearchTimeout: no response in time.
            TooManyQueries: too many searches are queued.
        """
        outcome = "ok"
        try:
            async with self._slot():
                start_s = time.perf_counter()
                response = await self._send(request)
                metrics.SEARCH_S.labels(name).observe(time.perf_counter() - start_s)
                return response
        except errors.ApiError as error:
            outcome = error.code
            raise
        finally:
            metrics.SEARCHES.labels(name, outcome).inc()

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        if self._queued >= self._settings.queued_searches_max:
            raise errors.TooManyQueries(self._settings.queued_searches_max)
        self._queued += 1
        try:
            await self._slots.acquire()
        finally:
            self._queued -= 1
        try:
            yield
        finally:
            self._slots.release()

    async def _send(self, request: SearchRequest) -> Body:
        limit_s = self._settings.request_timeout_s
        try:
            response = await self._client.search(
                index=request.index,
                # A partial response gives a wrong number that looks like a right one.
                allow_partial_search_results=False,
                ignore_unavailable=True,
                allow_no_indices=True,
                **_arguments(request.body),
                timeout=f"{round(limit_s * 1000)}ms",
            )
        except (ElasticsearchError, TransportError) as error:
            api_error = to_api_error(error, limit_s)
            if isinstance(api_error, errors.ElasticsearchUnavailable):
                self.availability.mark_unavailable(api_error.reason)
            raise api_error from error
        if response["timed_out"]:
            raise errors.ElasticsearchTimeout(limit_s)
        self.availability.mark_available()
        body: Body = response.body
        return body

    async def check_health(self) -> None:
        """Check whether every shard responds, and update the availability."""
        client = self._client.options(request_timeout=_HEALTH_CHECK_TIMEOUT_S)
        try:
            await client.search(
                index=_ALL_INDICES, size=0, terminate_after=1, allow_partial_search_results=False, allow_no_indices=True
            )
        except (ElasticsearchError, TransportError) as error:
            api_error = to_api_error(error, _HEALTH_CHECK_TIMEOUT_S)
            reason = api_error.reason if isinstance(api_error, errors.ElasticsearchUnavailable) else str(api_error)
            self.availability.mark_unavailable(reason)
        else:
            self.availability.mark_available()


def _arguments(body: Body) -> dict[str, Any]:
    """Return a body as the client's arguments, whose name for `_source` is `source`."""
    return {"source" if name == "_source" else name: value for name, value in body.items()}


def to_api_error(error: Exception, limit_s: float) -> errors.ApiError:
    """Return the API error for a failed search."""
    if isinstance(error, ConnectionTimeout):
        return errors.ElasticsearchTimeout(limit_s)
    if not isinstance(error, ElasticsearchError):
        # The error's text contains the address, which must not leak; the cause stands in brackets.
        cause = _CAUSE.search(str(getattr(error, "message", error)))
        return errors.ElasticsearchUnavailable(cause[1].strip() if cause else "no connection")
    status, kind = error.status_code, error.message
    if status in _TIMEOUT or "timeout" in kind or "Time exceeded" in str(error):
        return errors.ElasticsearchTimeout(limit_s)
    if is_transient(error):
        return errors.ElasticsearchUnavailable(f"status {status} ({kind})")
    return errors.ElasticsearchRequestRejected(f"status {status} ({kind})")

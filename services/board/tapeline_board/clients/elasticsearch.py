"""Every request to Elasticsearch: searches, few at a time, and the look whether it is there. Thin edge, read only.

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
from elasticsearch import AsyncElasticsearch

from tapeline_board import errors, metrics
from tapeline_board.clients.search import Body, Question
from tapeline_board.live.availability import Availability
from tapeline_board.settings import Settings

_CAUSE: Final = re.compile(r"\[([\w ]+)")
_EVERYTHING: Final = "tapeline-*"
_LOOK_TIMEOUT_S: Final = 3.0
_AWAY: Final = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE})
_SLOW: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.GATEWAY_TIMEOUT})


class Elastic:
    """Elasticsearch as the board uses it; connects on first use."""

    def __init__(self, settings: Settings, availability: Availability) -> None:
        """Prepare; the password is read, nothing is sent yet.

        Raises:
            InvalidConnection: password or authorities cannot be read.
        """
        self._settings, self.availability = settings, availability
        # No retries and no dead nodes: who asks again, and when, is decided here, by feeds and people.
        self._client = AsyncElasticsearch(
            settings.elasticsearch_url,
            **settings.client_options(),
            request_timeout=settings.request_timeout_s + 1,
            connections_per_node=settings.searches_max + 1,
            max_retries=0,
            dead_node_backoff_factor=0,
        )
        self._turns = asyncio.Semaphore(settings.searches_max)
        self._waiting = 0

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.close()

    async def search(self, what: str, question: Question) -> Body:
        """Return the answer to a question, whole or not at all.

        Args:
            what: it asks for, for the metrics.
            question: where, and what.

        Raises:
            ElasticsearchAway: it cannot be reached, or is not able to answer.
            ElasticsearchRefused: it says that we may not, or that the question is wrong.
            ElasticsearchSlow: it did not answer in time.
            TooManyQuestions: too many wait already.
        """
        outcome = "ok"
        try:
            async with self._turn():
                start_s = time.perf_counter()
                answer = await self._ask(question)
                metrics.SEARCH_S.labels(what).observe(time.perf_counter() - start_s)
                return answer
        except errors.ApiError as error:
            outcome = error.code
            raise
        finally:
            metrics.SEARCHES.labels(what, outcome).inc()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._waiting >= self._settings.waiting_max:
            raise errors.TooManyQuestions(self._settings.waiting_max)
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._turns.release()

    async def _ask(self, question: Question) -> Body:
        limit_s = self._settings.request_timeout_s
        try:
            answer = await self._client.search(
                index=question.index,
                # A part of an answer would be a wrong number that looks like a right one.
                allow_partial_search_results=False,
                ignore_unavailable=True,
                allow_no_indices=True,
                **_arguments(question.body),
                timeout=f"{round(limit_s * 1000)}ms",
            )
        except (ElasticsearchError, TransportError) as error:
            told = failure(error, limit_s)
            if isinstance(told, errors.ElasticsearchAway):
                self.availability.fail(told.why)
            raise told from error
        if answer["timed_out"]:
            raise errors.ElasticsearchSlow(limit_s)
        self.availability.hold()
        body: Body = answer.body
        return body

    async def look(self) -> None:
        """Find out whether every shard answers, and tell the availability."""
        client = self._client.options(request_timeout=_LOOK_TIMEOUT_S)
        try:
            await client.search(
                index=_EVERYTHING, size=0, terminate_after=1, allow_partial_search_results=False, allow_no_indices=True
            )
        except (ElasticsearchError, TransportError) as error:
            told = failure(error, _LOOK_TIMEOUT_S)
            self.availability.fail(told.why if isinstance(told, errors.ElasticsearchAway) else str(told))
        else:
            self.availability.hold()


def _arguments(body: Body) -> dict[str, Any]:
    """Return a body as the client's arguments, whose name for `_source` is `source`."""
    return {"source" if name == "_source" else name: value for name, value in body.items()}


def failure(error: Exception, limit_s: float) -> errors.ApiError:
    """Return what a failed search means, in our words."""
    if isinstance(error, ConnectionTimeout):
        return errors.ElasticsearchSlow(limit_s)
    if not isinstance(error, ElasticsearchError):
        # Its text names the address, which is nobody's business; the cause stands in brackets.
        cause = _CAUSE.search(str(getattr(error, "message", error)))
        return errors.ElasticsearchAway(cause[1].strip() if cause else "no connection")
    status, kind = error.status_code, error.message
    if status in _SLOW or "timeout" in kind or "Time exceeded" in str(error):
        return errors.ElasticsearchSlow(limit_s)
    if status in _AWAY:
        return errors.ElasticsearchAway(f"it answers {status} ({kind})")
    return errors.ElasticsearchRefused(f"it answers {status} ({kind})")

"""The way into Elasticsearch: templates at start, then bulk writes that are held until they stand.

Not here: what a document looks like (documents.py), what an answer means (bulk.py).
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import orjson
from elasticsearch import ApiError, ConflictError, Elasticsearch, OrjsonSerializer, TransportError
from tapeline import names
from tapeline.service.connection import ElasticsearchConnection
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_exponential_jitter,
)

from tapeline_spark.elastic.bulk import Outcome, classify
from tapeline_spark.elastic.documents import Operation, refused_operation
from tapeline_spark.elastic.index_templates import lacking, lifecycle, templates
from tapeline_spark.errors import OutageTooLong, TemplateUnusable, WriteRefused

log = logging.getLogger(__name__)

_HEADERS = {
    "content-type": "application/vnd.elasticsearch+x-ndjson; compatible-with=9",
    "accept": "application/vnd.elasticsearch+json; compatible-with=9",
}
_FILTER = "errors,items.*.status,items.*.error.type,items.*.error.reason"
_PASSING_STATUS = frozenset({408, 429, 500, 502, 503, 504})


class _Json(OrjsonSerializer):
    """Reads answers in half the time that the client's own takes."""

    mimetype: ClassVar[str] = "application/vnd.elasticsearch+json"


class _Unread(_Json):
    """Leaves answers as they come."""

    def loads(self, data: bytes) -> bytes:
        """Return them."""
        return data


class _Away(Exception):
    """Elasticsearch did not answer, or asked to come back later."""


class ElasticSink:
    """Writes documents and does not return before their fate is known; nothing is sent twice without need."""

    def __init__(
        self, access: ElasticsearchConnection, hold_s: float, chunk: int, on_state: Callable[[str | None], None]
    ) -> None:
        """Prepare; the password is read, nothing is sent yet.

        Args:
            access: address, user and authorities of Elasticsearch.
            hold_s: seconds an outage is sat out before OutageTooLong.
            chunk: documents in one request.
            on_state: told why Elasticsearch is away, or None when it answers again.

        Raises:
            InvalidConnection: password or authorities cannot be read.
        """
        # The hold below is the only retry: two layers would multiply.
        patience: dict[str, Any] = {"request_timeout": 30, "max_retries": 0, "retry_on_timeout": False}
        connect = partial(Elasticsearch, access.elasticsearch_url, **access.client_options(), **patience)
        self._client = connect(serializers={_Json.mimetype: _Json()})
        self._unread = connect(serializers={_Json.mimetype: _Unread()})
        self._hold_s, self._chunk, self._on_state = hold_s, chunk, on_state
        self._known: set[str] = set()

    def prepare(self, replicas: int, refresh_interval: str, retention_days: int | None = None) -> None:
        """Put every index template in place, and the retention if there is one, waiting if it must.

        Indices that stand already are given the fields they lack: a template speaks only to those made after it, and a
        strict index of an older release would refuse every document of this one.

        Raises:
            OutageTooLong: as `write`.
            WriteRefused: as `write`, or an index has a field of the same name and another type.
        """
        if retention_days is not None:
            policy = lifecycle(retention_days)
            self._held(partial(self._client.ilm.put_lifecycle, name=names.LIFECYCLE_TRADES, policy=policy))
        for name, body in templates(replicas, refresh_interval, retention_days is not None).items():
            # First, since a stream that waits for this release's templates begins as soon as it sees them.
            (pattern,), properties = body["index_patterns"], body["template"]["mappings"]["properties"]
            fields = {"index": pattern, "properties": properties, "ignore_unavailable": True, "allow_no_indices": True}
            self._held(partial(self._client.indices.put_mapping, **fields))
            self._held(partial(self._client.indices.put_index_template, name=name, **body))

    def check_prepared(self) -> None:
        """See that somebody else has put every index template in place, waiting if it must.

        Raises:
            TemplateUnusable: one is missing, or made for other documents than these.
            OutageTooLong, WriteRefused: as `write`.
        """
        reading = self._client.options(ignore_status=404).indices
        for name, wanted in templates(0, "1s").items():
            answer = self._held(partial(reading.get_index_template, name=name))
            if answer.meta.status == 404:
                raise TemplateUnusable(name, "missing")
            found = answer["index_templates"][0]["index_template"].get("template", {})
            absent = lacking(found.get("mappings", {}), wanted["template"]["mappings"])
            if absent:
                raise TemplateUnusable(name, f"another one (differs in {', '.join(absent)})")

    def write(self, operations: Sequence[Operation], now_ms: Callable[[], int]) -> Outcome:
        """Write documents; those of a record that can never fit are created as rejects instead.

        Returns:
            Counts by what became of them, and the unfit with their reasons.

        Raises:
            OutageTooLong: Elasticsearch stayed away for longer than the hold.
            WriteRefused: it refuses for good, an index would not be strict, or what does not fit is of no record.
        """
        total = Outcome()
        for start in range(0, len(operations), self._chunk):
            total.add(self._write_chunk(operations[start : start + self._chunk]))
        for operation, reason in total.unfit:
            if not operation.topic:
                raise WriteRefused(operation.index, 400, reason)
        rejects = [refused_operation(operation, reason, now_ms()) for operation, reason in total.unfit]
        if rejects and (again := self._write_chunk(rejects)).unfit:
            operation, reason = again.unfit[0]
            raise WriteRefused(operation.index, 400, reason)
        return total

    def ask(self, question: Callable[[Elasticsearch], Any]) -> Any:
        """Return the answer to a question, waiting if it must.

        Raises:
            OutageTooLong, WriteRefused: as `write`.
        """
        return self._held(partial(question, self._client))

    def ask_unread(self, question: Callable[[Elasticsearch], Any]) -> bytes:
        """Return the answer to a question as it comes, for whoever reads it better than the client.

        Raises:
            OutageTooLong, WriteRefused: as `write`.
        """
        answer: bytes = self._held(partial(question, self._unread)).body
        return answer

    def _write_chunk(self, operations: Sequence[Operation]) -> Outcome:
        for index in {operation.index for operation in operations} - self._known:
            self._held(partial(self._ensure_index, index))
            self._known.add(index)
        total = Outcome()
        pending = list(operations)

        def attempt() -> None:
            nonlocal pending
            outcome = classify(pending, self._send(pending))
            total.add(outcome)
            pending = outcome.retry
            if pending:
                raise _Away(f"{len(pending)} documents put off: {outcome.last_reason}")

        if pending:
            self._held(attempt)
        return total

    def _send(self, operations: Sequence[Operation]) -> dict[str, Any]:
        body = b"".join(operation.lines() for operation in operations)
        answer = self._client.perform_request(
            "POST", "/_bulk", params={"filter_path": _FILTER}, headers=_HEADERS, body=body
        )
        parsed: dict[str, Any] = answer.body if isinstance(answer.body, dict) else orjson.loads(answer.body)
        return parsed

    def _ensure_index(self, index: str) -> None:
        """Create an index from its template; never write into one that takes any field."""
        if not self._client.indices.exists(index=index):
            try:
                self._client.indices.create(index=index)
            except ApiError as error:
                if "resource_already_exists_exception" not in str(error):
                    raise
        mapping = self._client.indices.get_mapping(index=index).body[index]["mappings"]
        if mapping.get("dynamic") != "strict":
            raise WriteRefused(index, 400, "its mapping is not strict: the index template is missing")

    def _held(self, action: Callable[[], Any]) -> Any:
        """Run `action` until Elasticsearch answers it, however often it is away meanwhile."""

        def attempt() -> Any:
            try:
                return action()
            except TransportError as error:
                # The error's own text forgets its cause, which may be a certificate that is not trusted.
                raise _Away(f"{type(error).__name__}: {error.message}") from error
            except ApiError as error:
                if error.status_code in _PASSING_STATUS:
                    raise _Away(f"status {error.status_code}") from error
                if isinstance(error, ConflictError):
                    raise
                raise WriteRefused("elasticsearch", error.status_code, str(error)) from error

        waiting = Retrying(
            retry=retry_if_exception_type(_Away),
            wait=wait_exponential_jitter(multiplier=0.1, max=5, jitter=0.3),
            stop=stop_after_delay(self._hold_s),
            before_sleep=self._report,
            retry_error_callback=self._give_up,
        )
        result = waiting(attempt)
        self._on_state(None)
        return result

    def _report(self, state: RetryCallState) -> None:
        reason = str(state.outcome.exception()) if state.outcome else "unknown"
        self._on_state(reason)
        if state.attempt_number in (1, 5) or state.attempt_number % 20 == 0:
            log.warning("elasticsearch is away, the batch is held", extra={"reason": reason})

    def _give_up(self, state: RetryCallState) -> Any:
        reason = str(state.outcome.exception()) if state.outcome else "unknown"
        raise OutageTooLong("Elasticsearch", state.seconds_since_start or 0.0, reason)

"""Writes templates and documents to Elasticsearch; retries until each document is stored or refused.

Documents are built in documents.py, bulk responses are classified in bulk.py.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import orjson
from elasticsearch import ApiError, ConflictError, Elasticsearch, OrjsonSerializer, TransportError
from tapeline import names
from tapeline.service.connection import ElasticsearchConnection
from tapeline_clients import elasticsearch
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_exponential_jitter,
)

from tapeline_spark.elastic.bulk import Outcome, classify
from tapeline_spark.elastic.documents import Operation, refused_operation
from tapeline_spark.elastic.index_templates import differing_fields, lifecycle, templates
from tapeline_spark.errors import OutageTooLong, TemplateUnusable, WriteRefused

log = logging.getLogger(__name__)

_HEADERS = {
    "content-type": "application/vnd.elasticsearch+x-ndjson; compatible-with=9",
    "accept": "application/vnd.elasticsearch+json; compatible-with=9",
}
_FILTER = "errors,items.*.status,items.*.error.type,items.*.error.reason"
_REQUEST_TIMEOUT_S = 30.0


class _Json(OrjsonSerializer):
    """Parses responses in half the time of the client's default."""

    mimetype: ClassVar[str] = "application/vnd.elasticsearch+json"


class _RawResponse(_Json):
    """Returns response bodies as bytes."""

    def loads(self, data: bytes) -> bytes:
        """Return the bytes unchanged."""
        return data


class _Unavailable(Exception):
    """Elasticsearch did not respond, or responded with a transient status."""


class ElasticSink:
    """Writes documents; returns when each one is stored or refused. Only transient failures are sent again."""

    def __init__(
        self, connection: ElasticsearchConnection, hold_s: float, chunk: int, on_state: Callable[[str | None], None]
    ) -> None:
        """Create the clients; reads the password, sends nothing.

        Args:
            connection: address, user and authorities of Elasticsearch.
            hold_s: seconds an outage is retried before OutageTooLong.
            chunk: documents in one request.
            on_state: called with the reason while Elasticsearch is unavailable, with None when it responds.

        Raises:
            InvalidConnection: password or authorities cannot be read.
        """
        # _retry_while_unavailable is the only retry: two layers would multiply.
        connect = partial(elasticsearch.connect, connection, _REQUEST_TIMEOUT_S)
        self._client = connect(serializers={_Json.mimetype: _Json()})
        self._raw_client = connect(serializers={_Json.mimetype: _RawResponse()})
        self._hold_s, self._chunk, self._on_state = hold_s, chunk, on_state
        self._known_indices: set[str] = set()

    def prepare(self, replicas: int, refresh_interval: str, retention_days: int | None = None) -> None:
        """Write every index template, and the retention policy if `retention_days` is set.

        Existing indices get the fields they lack: a template applies only to indices created after it, and a strict
        index of an older release would refuse every document of this one.

        Raises:
            OutageTooLong: as `write`.
            WriteRefused: as `write`, or an index has a field of the same name with another type.
        """
        if retention_days is not None:
            policy = lifecycle(retention_days)
            self._retry_while_unavailable(
                partial(self._client.ilm.put_lifecycle, name=names.LIFECYCLE_TRADES, policy=policy)
            )
        for name, body in templates(replicas, refresh_interval, retention_days is not None).items():
            # Mappings first: a stream that waits for the templates of this release starts as soon as it finds them.
            (pattern,), properties = body["index_patterns"], body["template"]["mappings"]["properties"]
            fields = {"index": pattern, "properties": properties, "ignore_unavailable": True, "allow_no_indices": True}
            self._retry_while_unavailable(partial(self._client.indices.put_mapping, **fields))
            self._retry_while_unavailable(partial(self._client.indices.put_index_template, name=name, **body))

    def check_prepared(self) -> None:
        """Check that every index template exists and fits; retries while Elasticsearch is unavailable.

        Raises:
            TemplateUnusable: a template is missing or does not fit the documents.
            OutageTooLong, WriteRefused: as `write`.
        """
        reading = self._client.options(ignore_status=404).indices
        for name, wanted in templates(0, "1s").items():
            response = self._retry_while_unavailable(partial(reading.get_index_template, name=name))
            if response.meta.status == 404:
                raise TemplateUnusable(name, "missing")
            found = response["index_templates"][0]["index_template"].get("template", {})
            absent = differing_fields(found.get("mappings", {}), wanted["template"]["mappings"])
            if absent:
                raise TemplateUnusable(name, f"another one (differs in {', '.join(absent)})")

    def write(self, operations: Sequence[Operation], now_ms: Callable[[], int]) -> Outcome:
        """Write documents. A document of a record that never fits the mapping is stored as a reject instead.

        Returns:
            Counts by outcome, and the unfit documents with their reasons.

        Raises:
            OutageTooLong: Elasticsearch was unavailable for longer than `hold_s`.
            WriteRefused: a permanent refusal, an index that is not strict, or an unfit document without a record.
        """
        total = Outcome()
        for start in range(0, len(operations), self._chunk):
            total.add(self._write_chunk(operations[start : start + self._chunk]))
        for operation, reason in total.unfit:
            if not operation.topic:
                raise WriteRefused(operation.index, 400, reason)
        rejects = [refused_operation(operation, reason, now_ms()) for operation, reason in total.unfit]
        if rejects and (rejected := self._write_chunk(rejects)).unfit:
            operation, reason = rejected.unfit[0]
            raise WriteRefused(operation.index, 400, reason)
        return total

    def query(self, request: Callable[[Elasticsearch], Any]) -> Any:
        """Return the response to a request; retries while Elasticsearch is unavailable.

        Raises:
            OutageTooLong, WriteRefused: as `write`.
        """
        return self._retry_while_unavailable(partial(request, self._client))

    def query_raw(self, request: Callable[[Elasticsearch], Any]) -> bytes:
        """Return the response body to a request as bytes, for callers with a faster parser than the client.

        Raises:
            OutageTooLong, WriteRefused: as `write`.
        """
        response: bytes = self._retry_while_unavailable(partial(request, self._raw_client)).body
        return response

    def _write_chunk(self, operations: Sequence[Operation]) -> Outcome:
        for index in {operation.index for operation in operations} - self._known_indices:
            self._retry_while_unavailable(partial(self._ensure_index, index))
            self._known_indices.add(index)
        total = Outcome()
        pending = list(operations)

        def attempt() -> None:
            nonlocal pending
            outcome = classify(pending, self._send(pending))
            total.add(outcome)
            pending = outcome.retry
            if pending:
                raise _Unavailable(f"{len(pending)} documents deferred: {outcome.last_reason}")

        if pending:
            self._retry_while_unavailable(attempt)
        return total

    def _send(self, operations: Sequence[Operation]) -> dict[str, Any]:
        body = b"".join(operation.lines() for operation in operations)
        response = self._client.perform_request(
            "POST", "/_bulk", params={"filter_path": _FILTER}, headers=_HEADERS, body=body
        )
        parsed: dict[str, Any] = response.body if isinstance(response.body, dict) else orjson.loads(response.body)
        return parsed

    def _ensure_index(self, index: str) -> None:
        """Create an index from its template; refuse an index whose mapping is not strict."""
        if not self._client.indices.exists(index=index):
            try:
                self._client.indices.create(index=index)
            except ApiError as error:
                if "resource_already_exists_exception" not in str(error):
                    raise
        mapping = self._client.indices.get_mapping(index=index).body[index]["mappings"]
        if mapping.get("dynamic") != "strict":
            raise WriteRefused(index, 400, "its mapping is not strict: the index template is missing")

    def _retry_while_unavailable(self, action: Callable[[], Any]) -> Any:
        """Run `action`, retrying until Elasticsearch responds or `hold_s` is over."""

        def attempt() -> Any:
            try:
                return action()
            except ConflictError:
                raise
            except (ApiError, TransportError) as error:
                if isinstance(error, TransportError) or elasticsearch.is_transient(error):
                    raise _Unavailable(elasticsearch.reason_of(error)) from error
                raise WriteRefused("elasticsearch", error.status_code, str(error)) from error

        retrying = Retrying(
            retry=retry_if_exception_type(_Unavailable),
            wait=wait_exponential_jitter(multiplier=0.1, max=5, jitter=0.3),
            stop=stop_after_delay(self._hold_s),
            before_sleep=self._report_outage,
            retry_error_callback=self._raise_outage,
        )
        result = retrying(attempt)
        self._on_state(None)
        return result

    def _report_outage(self, state: RetryCallState) -> None:
        reason = str(state.outcome.exception()) if state.outcome else "unknown"
        self._on_state(reason)
        if state.attempt_number in (1, 5) or state.attempt_number % 20 == 0:
            log.warning("Elasticsearch unavailable; retrying", extra={"reason": reason})

    def _raise_outage(self, state: RetryCallState) -> Any:
        reason = str(state.outcome.exception()) if state.outcome else "unknown"
        raise OutageTooLong("Elasticsearch", state.seconds_since_start or 0.0, reason)

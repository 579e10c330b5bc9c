"""Client of Elasticsearch: reads snapshots page by page, and writes the verdict of a run.

Thin edge. A snapshot is a point in time: what is indexed meanwhile is not seen, so the number of documents read must
equal the number counted in the same snapshot. Requests are retried here to one deadline, not by the client. Every
request may be retried: it reads, or it writes under a fixed id.
Nothing here calls `GET /`, which reduced builds of Elasticsearch do not have.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, Self, TypeVar

from elastic_transport import TransportError
from elasticsearch import ApiError
from tapeline import names
from tapeline_clients import http
from tapeline_clients.elasticsearch import connect, is_transient, reason_of

from tapeline_trainer.errors import ElasticsearchFailed, ExportIncomplete
from tapeline_trainer.settings import Settings

T = TypeVar("T")
Document = dict[str, Any]

_KEYWORD: Final = {"type": "keyword", "ignore_above": 1024}
_DATE: Final = {"type": "date", "format": "epoch_millis"}
_DOUBLE: Final = {"type": "double"}
_LONG: Final = {"type": "long"}
VERDICT_MAPPING: Final[dict[str, Any]] = {
    "dynamic": "strict",
    "properties": {
        "@timestamp": _DATE,
        **dict.fromkeys(("run_id", "digest", "parent_digest", "promoted_kind", "data_digest", "reasons"), _KEYWORD),
        **dict.fromkeys(("feature_version", "label_version"), _KEYWORD),
        **dict.fromkeys(("rollout", "rollout_reason", "image_reference", "image_digest"), _KEYWORD),
        "rollout_seconds": _DOUBLE,
        **dict.fromkeys(("training_from_ms", "training_to_ms", "test_from_ms", "test_to_ms"), _DATE),
        "promoted": {"type": "boolean"},
        **dict.fromkeys(("rows_train", "rows_test"), _LONG),
        **dict.fromkeys(
            (
                *("base_rate", "prior", "threshold", "accuracy", "auc", "mcc", "brier", "ece"),
                *("brier_skill_vs_prior", "brier_skill_vs_rule"),
                *("brier_minus_prior", "brier_minus_prior_low", "brier_minus_prior_high"),
            ),
            _DOUBLE,
        ),
    },
}
"""One document a training run."""


class Store:
    """Client of Elasticsearch; connects on first use."""

    def __init__(self, url: str, settings: Settings) -> None:
        """Prepare; the password is read, nothing is sent yet.

        Raises:
            InvalidConnection: password or authorities cannot be read.
        """
        connection = settings.model_copy(update={"elasticsearch_url": url})
        self._client = connect(connection, settings.request_timeout_s)
        self._settings = settings

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def snapshot(self, index: str) -> Iterator[list[Document]]:
        """Yield the sources of every document of some indices, a page at a time, from one point in time.

        Args:
            index: name or pattern; none matching yields nothing.

        Raises:
            ExportIncomplete: the pages do not add up to the snapshot's own count.
            ElasticsearchFailed: a request did not succeed within the retries.
        """
        keep_alive = f"{self._settings.snapshot_keep_alive_s}s"
        point = self._request(
            f"opening a snapshot of {index}",
            lambda: self._client.open_point_in_time(
                index=index,
                keep_alive=keep_alive,
                ignore_unavailable=True,
                allow_partial_search_results=False,
            ),
        )["id"]
        try:
            yield from self._pages(index, point, keep_alive)
        finally:
            self._close(point)

    def _pages(self, index: str, point: str, keep_alive: str) -> Iterator[list[Document]]:
        counted, read, after = -1, 0, None
        while True:
            request: dict[str, Any] = {
                "pit": {"id": point, "keep_alive": keep_alive},
                "size": self._settings.page_rows,
                "sort": ["_shard_doc"],
                "track_total_hits": counted < 0,
                "allow_partial_search_results": False,
            }
            if after is not None:
                request["search_after"] = after
            hits = self._request(f"reading {index}", partial(self._client.search, **request))["hits"]
            if counted < 0:
                counted = int(hits["total"]["value"])
            page = hits["hits"]
            if not page:
                break
            read += len(page)
            after = page[-1]["sort"]
            yield [hit["_source"] for hit in page]
        if read != counted:
            raise ExportIncomplete(index, read, counted)

    def _close(self, point: str) -> None:
        try:
            self._client.close_point_in_time(id=point)
        except (ApiError, TransportError):
            # The point in time expires by itself; a run whose pages are complete must not fail here.
            return

    def save_verdict(self, run_id: str, document: Document) -> None:
        """Index the verdict of a run under its id, which is never overwritten. Create the index where it is missing.

        Raises:
            ElasticsearchFailed: it was not stored within the retries.
        """
        doing, index = "storing the verdict", names.INDEX_MODELS
        if not self._request(doing, lambda: self._client.indices.exists(index=index)):
            self._request(doing, lambda: self._create_index(index))
        else:
            self._request(doing, lambda: self._add_missing_fields(index))
        self._request(doing, lambda: self._create_document(index, run_id, document))

    def _create_document(self, index: str, run_id: str, document: Document) -> None:
        # The trainer's user may only `create`. 409: an earlier attempt succeeded and its response was lost.
        self._client.options(ignore_status=409).create(index=index, id=run_id, document=document)

    def _add_missing_fields(self, index: str) -> None:
        # An index of an older version lacks newer fields, and a strict index refuses documents that have them.
        known = self._client.indices.get_mapping(index=index)
        names_known = {name for found in known.values() for name in found["mappings"].get("properties", {})}
        missing = {n: kind for n, kind in VERDICT_MAPPING["properties"].items() if n not in names_known}
        if missing:
            self._client.indices.put_mapping(index=index, properties=missing)

    def _create_index(self, index: str) -> None:
        # 400: another run created it in between.
        self._client.options(ignore_status=400).indices.create(index=index, mappings=VERDICT_MAPPING)

    def _request(self, doing: str, request: Callable[[], T]) -> T:
        try:
            return http.retrying(is_transient, self._settings.retry_deadline_s)(request)
        except (ApiError, TransportError) as error:
            raise ElasticsearchFailed(doing, reason_of(error)) from error

import pytest
from elastic_transport import ApiResponseMeta, ConnectionError, ConnectionTimeout, HttpHeaders, NodeConfig
from elasticsearch import ApiError
from tapeline_clients.elasticsearch import is_transient
from tapeline_trainer.data.elasticsearch import VERDICT_MAPPING, Store
from tapeline_trainer.errors import ElasticsearchFailed
from tapeline_trainer.settings import Settings


def api_error(status: int) -> ApiError:
    meta = ApiResponseMeta(status, "1.1", HttpHeaders(), 0.1, NodeConfig("http", "localhost", 9200))
    return ApiError("failed", meta, {})


@pytest.mark.parametrize(("status", "expected"), [(429, True), (503, True), (400, False), (403, False), (404, False)])
def test_only_requests_that_may_succeed_later_are_retried(status: int, expected: bool) -> None:
    assert is_transient(api_error(status)) is expected


@pytest.mark.parametrize("error", [ConnectionError("refused"), ConnectionTimeout("late")])
def test_broken_connections_are_retried(error: Exception) -> None:
    assert is_transient(error)


def test_server_that_is_not_there_is_named_after_the_deadline() -> None:
    settings = Settings(retry_deadline_s=0.3)
    with (
        Store("http://127.0.0.1:9", settings) as store,
        pytest.raises(ElasticsearchFailed, match="opening a snapshot of x was ConnectionError"),
    ):
        list(store.snapshot("x"))


def test_verdict_mapping_takes_no_unknown_field() -> None:
    assert VERDICT_MAPPING["dynamic"] == "strict"

import pytest
from elastic_transport import ApiResponseMeta, ConnectionTimeout, HttpHeaders, NodeConfig, TlsError
from elastic_transport import ConnectionError as NoConnection
from elasticsearch import ApiError
from tapeline_board import errors
from tapeline_board.clients.elasticsearch import to_api_error


def error_response(status: int, kind: str = "search_phase_execution_exception") -> ApiError:
    node = NodeConfig("http", "elastic.example", 9200)
    meta = ApiResponseMeta(status, "1.1", HttpHeaders(), 0.1, node)
    return ApiError(kind, meta, {"error": {"reason": "canary"}, "status": status})


CASES = {
    "refused": (
        NoConnection(
            "Cannot connect to host elastic.example:9200 ssl:default [Connect call failed ('10.0.0.1', 9200)]"
        ),
        (errors.ElasticsearchUnavailable, "Connect call failed"),
    ),
    "unknown": (
        NoConnection("Cannot connect to host elastic.example:9200 ssl:default [Name or service not known]"),
        (errors.ElasticsearchUnavailable, "Name or service not known"),
    ),
    "lost": (NoConnection("Server disconnected"), (errors.ElasticsearchUnavailable, "no connection")),
    "not trusted": (
        TlsError("elastic.example [SSLCertVerificationError: (1, ...)]"),
        (errors.ElasticsearchUnavailable, "SSL"),
    ),
    "late": (ConnectionTimeout("Connection timed out"), (errors.ElasticsearchTimeout, "3 s")),
    "starting": (error_response(503), (errors.ElasticsearchUnavailable, "503 (search_phase")),
    "behind a gateway": (error_response(502, "bad"), (errors.ElasticsearchUnavailable, "502")),
    "broken for now": (error_response(500, "internal"), (errors.ElasticsearchUnavailable, "500 (internal)")),
    "busy": (error_response(429, "es_rejected_execution_exception"), (errors.ElasticsearchTimeout, "3 s")),
    "out of time": (error_response(503, "search_timeout_exception"), (errors.ElasticsearchTimeout, "3 s")),
    "no password": (
        error_response(401, "security_exception"),
        (errors.ElasticsearchRequestRejected, "401 (security_exception)"),
    ),
    "no right": (
        error_response(403, "security_exception"),
        (errors.ElasticsearchRequestRejected, "403 (security_exception)"),
    ),
    "our mistake": (
        error_response(400, "parsing_exception"),
        (errors.ElasticsearchRequestRejected, "400 (parsing_exception)"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_failure_is_mapped_to_an_api_error_without_addresses(name):
    error, (kind, text) = CASES[name]
    api_error = to_api_error(error, 3.0)
    assert type(api_error) is kind
    assert text in str(api_error)
    assert not {part for part in ("elastic.example", "10.0.0.1", "canary") if part in str(api_error)}

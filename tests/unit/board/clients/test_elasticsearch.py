import pytest
from elastic_transport import ApiResponseMeta, ConnectionTimeout, HttpHeaders, NodeConfig, TlsError
from elastic_transport import ConnectionError as NoConnection
from elasticsearch import ApiError
from tapeline_board import errors
from tapeline_board.clients.elasticsearch import failure


def answered(status: int, kind: str = "search_phase_execution_exception") -> ApiError:
    node = NodeConfig("http", "elastic.example", 9200)
    meta = ApiResponseMeta(status, "1.1", HttpHeaders(), 0.1, node)
    return ApiError(kind, meta, {"error": {"reason": "canary"}, "status": status})


CASES = {
    "refused": (
        NoConnection(
            "Cannot connect to host elastic.example:9200 ssl:default [Connect call failed ('10.0.0.1', 9200)]"
        ),
        (errors.ElasticsearchAway, "Connect call failed"),
    ),
    "unknown": (
        NoConnection("Cannot connect to host elastic.example:9200 ssl:default [Name or service not known]"),
        (errors.ElasticsearchAway, "Name or service not known"),
    ),
    "lost": (NoConnection("Server disconnected"), (errors.ElasticsearchAway, "no connection")),
    "not trusted": (
        TlsError("elastic.example [SSLCertVerificationError: (1, ...)]"),
        (errors.ElasticsearchAway, "SSL"),
    ),
    "late": (ConnectionTimeout("Connection timed out"), (errors.ElasticsearchSlow, "3 s")),
    "starting": (answered(503), (errors.ElasticsearchAway, "503 (search_phase")),
    "behind a gateway": (answered(502, "bad"), (errors.ElasticsearchAway, "502")),
    "busy": (answered(429, "es_rejected_execution_exception"), (errors.ElasticsearchSlow, "3 s")),
    "out of time": (answered(503, "search_timeout_exception"), (errors.ElasticsearchSlow, "3 s")),
    "no password": (answered(401, "security_exception"), (errors.ElasticsearchRefused, "401 (security_exception)")),
    "no right": (answered(403, "security_exception"), (errors.ElasticsearchRefused, "403 (security_exception)")),
    "our mistake": (answered(400, "parsing_exception"), (errors.ElasticsearchRefused, "400 (parsing_exception)")),
}


@pytest.mark.parametrize("name", CASES)
def test_a_failure_is_told_in_our_words_without_addresses(name):
    error, (kind, words) = CASES[name]
    told = failure(error, 3.0)
    assert type(told) is kind
    assert words in str(told)
    assert not {word for word in ("elastic.example", "10.0.0.1", "canary") if word in str(told)}

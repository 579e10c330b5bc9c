"""Clients of Elasticsearch on a real socket."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from elasticsearch import ApiError, NotFoundError, TransportError
from tapeline.service.connection import ElasticsearchConnection
from tapeline_clients import elasticsearch


class Server(ThreadingHTTPServer):
    """Gives one status to every request, and counts them."""

    status, requests = 503, 0


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests += 1
        self.send_response(self.server.status)
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as one:
        thread = threading.Thread(target=one.serve_forever)
        thread.start()
        yield one
        one.shutdown()
        thread.join()


def error_of(port: int) -> ApiError | TransportError:
    """Return what a request to a port ends with."""
    connection = ElasticsearchConnection(elasticsearch_url=f"http://127.0.0.1:{port}")
    with elasticsearch.connect(connection, 5.0) as client, pytest.raises((ApiError, TransportError)) as raised:
        client.indices.get(index="x")
    return raised.value


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_once_and_the_error_is_transient(server: Server, status: int) -> None:
    server.status = status
    error = error_of(server.server_port)
    assert elasticsearch.is_transient(error) and server.requests == 1


def test_a_refusal_is_not_transient(server: Server) -> None:
    server.status = 404
    error = error_of(server.server_port)
    assert isinstance(error, NotFoundError) and not elasticsearch.is_transient(error)


def test_a_server_that_is_away_is_transient_and_the_reason_names_the_cause() -> None:
    with Server(("127.0.0.1", 0), Handler) as one:
        port = one.server_port
    error = error_of(port)
    assert elasticsearch.is_transient(error)
    assert "ConnectionError" in elasticsearch.reason_of(error) and "refused" in elasticsearch.reason_of(error).lower()


def test_a_mistake_of_our_own_is_not_transient() -> None:
    assert not elasticsearch.is_transient(KeyError("x"))

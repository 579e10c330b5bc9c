"""Requests of the bootstrap to Elasticsearch, their order and the exit code, against a server that records them.

The full Elasticsearch with lifecycle management is not available as a plain process; its requests are checked here.
"""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from tapeline import names
from tapeline_spark.elastic import bootstrap
from tapeline_spark.elastic.index_templates import lifecycle, templates


class Server(ThreadingHTTPServer):
    """Sends every request the same response and records it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.body = 200, {"acknowledged": True}
        self.requests: list[tuple[str, str, Any]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_PUT(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.command, self.path, body))
        answer = json.dumps(self.server.body).encode()
        self.send_response(self.server.status)
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Type", "application/vnd.elasticsearch+json;compatible-with=9")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output to the test."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with Server() as one:
        threading.Thread(target=one.serve_forever, daemon=True).start()
        monkeypatch.setenv("STREAM_ELASTICSEARCH_URL", f"http://127.0.0.1:{one.server_port}")
        monkeypatch.setenv("STREAM_HOLD_S", "0.5")
        yield one
        one.shutdown()


def wanted(replicas: int, with_retention: bool = False) -> list[tuple[str, str, Any]]:
    """Return the requests of each template: its fields for existing indices, then the template."""
    requests = []
    for name, body in templates(replicas, "1s", with_retention).items():
        fields = {"properties": body["template"]["mappings"]["properties"]}
        mapping = f"/{body['index_patterns'][0]}/_mapping?allow_no_indices=true&ignore_unavailable=true"
        requests += [("PUT", mapping, fields), ("PUT", f"/_index_template/{name}", body)]
    return requests


def test_without_retention_templates_are_put_and_nothing_is_asked_of_lifecycles(server: Server) -> None:
    assert bootstrap.main() == 0
    assert server.requests == wanted(0)


def test_policy_stands_before_the_template_that_names_it(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_RETENTION_DAYS", "14")
    monkeypatch.setenv("STREAM_REPLICAS", "1")
    assert bootstrap.main() == 0
    first, *rest = server.requests
    assert first == ("PUT", "/_ilm/policy/tapeline-trades", {"policy": lifecycle(14)})
    assert rest == wanted(1, with_retention=True)
    assert rest[1][2]["template"]["settings"]["index"]["lifecycle"]["name"] == names.LIFECYCLE_TRADES


@pytest.mark.parametrize("status", [403, 503])
def test_refusal_and_an_outage_that_does_not_end_exit_with_1(server: Server, status: int) -> None:
    server.status, server.body = status, {"error": {"type": "of_the_test"}, "status": status}  # type: ignore[assignment]
    assert bootstrap.main() == 1


def test_a_setting_under_its_old_name_exits_with_1(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_TOPIC_TRADES", "bybit-trades")
    assert bootstrap.main() == 1
    assert server.requests == []

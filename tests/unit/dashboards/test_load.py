"""Loading into a fake of Kibana on a real socket."""

import base64
import json
import ssl
import threading
from typing import Any

import pytest
from tapeline_clients.http import TRANSIENT_STATUSES
from tapeline_dashboards import __main__, load
from tapeline_dashboards.errors import KibanaRefused, KibanaUnavailable
from tapeline_dashboards.settings import Settings

from unit.fakes.web import Answer, Requests, serving

CONTENT = '{"id":"a"}\n{"id":"b"}\n'
IMPORTED = {"success": True, "successCount": 2, "warnings": []}


class Kibana:
    """Fake of Kibana: returns prepared responses and records the requests."""

    def __init__(self, *imports: tuple[int, Any], status: tuple[int, ...] = ()) -> None:
        self.imports, self.status = list(imports), list(status)
        self.seen: list[tuple[str, dict[str, str], bytes]] = []

    def respond(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        self.seen.append((f"{method} {target}", headers, body))
        if target.endswith("/api/status"):
            return (self.status.pop(0) if self.status else 200), {}, b"{}"
        status, content = self.imports.pop(0) if len(self.imports) > 1 else self.imports[0]
        return (
            status,
            {"Content-Type": "application/json"},
            content if isinstance(content, bytes) else json.dumps(content).encode(),
        )


def load_into(site: Kibana, **settings: Any) -> int:
    with serving(site, Requests()) as address:
        return load.load(CONTENT, Settings(kibana_url=f"http://{address}", poll_s=0.02, **settings))


def test_all_objects_are_imported_with_overwrite():
    site = Kibana((200, IMPORTED))
    assert load_into(site) == 2
    (_, (request, headers, body)) = site.seen
    assert request == "POST /api/saved_objects/_import?overwrite=true"
    assert headers["kbn-xsrf"] == "true"
    assert headers["Content-Type"].startswith("multipart/form-data")
    assert b'name="file"; filename="tapeline.ndjson"' in body
    assert CONTENT.encode() in body


def test_space_and_user_are_sent(tmp_path):
    password = tmp_path / "password"
    password.write_text("pass word\n")
    site = Kibana((200, IMPORTED))
    load_into(site, space="desk", username="me", password_file=password)
    request, headers, _ = site.seen[-1]
    assert request == "POST /s/desk/api/saved_objects/_import?overwrite=true"
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"me:pass word"


@pytest.mark.parametrize("status", sorted(TRANSIENT_STATUSES))
def test_every_transient_status_is_waited_for(status):
    site = Kibana((status, b"later"), (200, IMPORTED), status=(status, 200))
    assert load_into(site) == 2
    assert len(site.seen) == 5


def test_loading_waits_for_a_starting_kibana():
    site = Kibana((503, b"not yet"), (429, b"slowly"), (200, IMPORTED), status=(503, 502, 200))
    assert load_into(site) == 2
    assert [request for request, _, _ in site.seen].count("POST /api/saved_objects/_import?overwrite=true") == 3


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        ((401, {"message": "unable to authenticate"}), "401"),
        ((403, {"message": "Unable to bulk_create dashboard"}), "Unable to bulk_create"),
        (
            (
                200,
                {
                    "success": False,
                    "successCount": 1,
                    "errors": [{"type": "dashboard", "id": "b", "error": "conflict"}],
                },
            ),
            "1 of 2 imported: dashboard b: conflict",
        ),
        ((200, {"success": True, "successCount": 1}), "1 of 2 imported"),
        ((200, b"<html>a proxy</html>"), "a proxy"),
    ],
)
def test_an_incomplete_import_is_refused_at_once_with_kibanas_error(answer, word):
    """A conflict has HTTP 200, and half of the dashboards would be missing silently."""
    site = Kibana(answer)
    with pytest.raises(KibanaRefused, match=word):
        load_into(site)
    assert len(site.seen) == 2


def test_an_unavailable_kibana_fails_at_the_deadline():
    with pytest.raises(KibanaUnavailable, match="not available within 0 s"):
        load_into(Kibana((200, IMPORTED), status=(503,) * 1000), deadline_s=0.2)
    with pytest.raises(KibanaUnavailable, match="make dashboards KIBANA_URL"):
        load.load(CONTENT, Settings(kibana_url="http://127.0.0.1:1", deadline_s=0.1, poll_s=0.02))


def test_an_unreadable_ca_file_is_an_error(tmp_path):
    with pytest.raises((OSError, ssl.SSLError)):
        load.load(CONTENT, Settings(kibana_url="https://127.0.0.1:1", ca_file=tmp_path / "none"))


def test_the_program_loads_all_objects_and_returns_an_exit_code(monkeypatch):
    site = Kibana((200, {**IMPORTED, "successCount": 18}))
    monkeypatch.setenv("DASHBOARDS_POLL_S", "0.02")
    with serving(site, Requests()) as address:
        monkeypatch.setenv("DASHBOARDS_KIBANA_URL", f"http://{address}")
        assert __main__.main(["load"]) == 0
        site.imports = [(403, {"message": "no"})]
        assert __main__.main(["load"]) == 3
    monkeypatch.setenv("DASHBOARDS_DEADLINE_S", "0.1")
    assert __main__.main(["load"]) == 4
    monkeypatch.setenv("DASHBOARDS_KIBANA_URL", "nonsense")
    assert __main__.main(["load"]) == 1
    assert threading.active_count() < 10

"""Loading, against a server on a real socket that answers like Kibana."""

import base64
import json
import ssl
import threading
from typing import Any

import pytest
from tapeline_dashboards import __main__, load
from tapeline_dashboards.errors import KibanaAway, KibanaRefused
from tapeline_dashboards.settings import Settings

from unit.fakes.web import Answer, Requests, serving

CONTENT = '{"id":"a"}\n{"id":"b"}\n'
TAKEN = {"success": True, "successCount": 2, "warnings": []}


class Kibana:
    """Answers as it is told; remembers what it was sent."""

    def __init__(self, *imports: tuple[int, Any], status: tuple[int, ...] = ()) -> None:
        self.imports, self.status = list(imports), list(status)
        self.seen: list[tuple[str, dict[str, str], bytes]] = []

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        self.seen.append((f"{method} {target}", headers, body))
        if target.endswith("/api/status"):
            return (self.status.pop(0) if self.status else 200), {}, b"{}"
        status, content = self.imports.pop(0) if len(self.imports) > 1 else self.imports[0]
        return (
            status,
            {"Content-Type": "application/json"},
            content if isinstance(content, bytes) else json.dumps(content).encode(),
        )


def told(site: Kibana, **settings: Any) -> int:
    with serving(site, Requests()) as address:
        return load.load(CONTENT, Settings(kibana_url=f"http://{address}", poll_s=0.02, **settings))


def test_all_is_imported_over_what_is_there_in_the_form_that_kibana_takes():
    site = Kibana((200, TAKEN))
    assert told(site) == 2
    (_, (request, headers, body)) = site.seen
    assert request == "POST /api/saved_objects/_import?overwrite=true"
    assert headers["kbn-xsrf"] == "true"
    assert headers["Content-Type"].startswith("multipart/form-data")
    assert b'name="file"; filename="tapeline.ndjson"' in body
    assert CONTENT.encode() in body


def test_a_space_and_a_user_are_told(tmp_path):
    password = tmp_path / "password"
    password.write_text("pass word\n")
    site = Kibana((200, TAKEN))
    told(site, space="desk", username="me", password_file=password)
    request, headers, _ = site.seen[-1]
    assert request == "POST /s/desk/api/saved_objects/_import?overwrite=true"
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"me:pass word"


def test_a_kibana_that_starts_is_waited_for():
    site = Kibana((503, b"not yet"), (429, b"slowly"), (200, TAKEN), status=(503, 502, 200))
    assert told(site) == 2
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
            "1 of 2 taken: dashboard b: conflict",
        ),
        ((200, {"success": True, "successCount": 1}), "1 of 2 taken"),
        ((200, b"<html>a proxy</html>"), "a proxy"),
    ],
)
def test_what_is_not_all_taken_is_refused_at_once_with_kibanas_words(answer, word):
    """A conflict comes with HTTP 200, and half of the dashboards would be missing without a word."""
    site = Kibana(answer)
    with pytest.raises(KibanaRefused, match=word):
        told(site)
    assert len(site.seen) == 2


def test_a_kibana_that_never_comes_is_given_up_at_the_deadline():
    with pytest.raises(KibanaAway, match="not available within 0 s"):
        told(Kibana((200, TAKEN), status=(503,) * 1000), deadline_s=0.2)
    with pytest.raises(KibanaAway, match="make dashboards KIBANA_URL"):
        load.load(CONTENT, Settings(kibana_url="http://127.0.0.1:1", deadline_s=0.1, poll_s=0.02))


def test_authorities_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises((OSError, ssl.SSLError)):
        load.load(CONTENT, Settings(kibana_url="https://127.0.0.1:1", ca_file=tmp_path / "none"))


def test_the_program_loads_all_objects_and_says_so_by_its_exit_code(monkeypatch):
    site = Kibana((200, {**TAKEN, "successCount": 18}))
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

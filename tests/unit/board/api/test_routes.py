from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from tapeline_board.api.routes import create_app
from tapeline_board.settings import Settings

NOBODY = "http://127.0.0.1:9"


@asynccontextmanager
async def running(static: Path, **settings: object) -> AsyncIterator[httpx.AsyncClient]:
    """A board whose Elasticsearch is away."""
    api = create_app(Settings(elasticsearch_url=NOBODY, static=static, **settings))
    async with (
        api.router.lifespan_context(api),
        httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://board") as client,
    ):
        yield client


@pytest.fixture
def page(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>board</title>")
    (tmp_path / "assets" / "main-1a2b.js").write_text("export {};")
    return tmp_path


async def test_the_page_and_its_files_are_served_and_kept_as_their_names_allow(page):
    async with running(page) as client:
        front, script = await client.get("/"), await client.get("/assets/main-1a2b.js")
        assert (front.status_code, front.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert front.headers["cache-control"] == "no-cache"
        assert "javascript" in script.headers["content-type"]
        assert script.headers["cache-control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize("path", ["/../settings.py", "/%2e%2e/settings.py", "/assets/../../x", "//etc/passwd"])
async def test_nothing_beside_the_page_is_served(page, path):
    (page.parent / "settings.py").write_text("secret")
    async with running(page) as client:
        answer = await client.get(path)
        assert answer.status_code in (404, 405)
        assert "secret" not in answer.text


async def test_a_page_that_is_not_built_says_how_and_is_there_once_it_is(tmp_path):
    async with running(tmp_path / "static") as client:
        missing = await client.get("/")
        assert missing.status_code == 503
        assert "make board" in missing.text
        assert (await client.get("/assets/x.js")).status_code == 404
        (tmp_path / "static").mkdir()
        (tmp_path / "static" / "index.html").write_text("built")
        assert (await client.get("/")).text == "built"


EVERYWHERE = {"/": 200, "/assets/none.js": 404, "/api/status": 200, "/api/symbols": 503, "/api/market?from=1": 422}
EVERYWHERE |= {"/metrics": 200, "/health/live": 200, "/health/ready": 200, "/api/none": 404}


@pytest.mark.parametrize("path", EVERYWHERE)
async def test_every_answer_is_fenced_in(page, path):
    async with running(page) as client:
        answer = await client.get(path)
    assert answer.status_code == EVERYWHERE[path]
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert not [value for value in policy.values() if "unsafe" in value or "http" in value or "*" in value]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in answer.headers


async def test_without_elasticsearch_it_is_ready_and_says_what_is_away(page):
    async with running(page) as client:
        status = (await client.get("/api/status")).json()
        assert (status["elasticsearch"], status["reason"]) == ("away", "Connect call failed")
        refused = await client.get("/api/completeness")
        assert (refused.json()["error"], refused.headers["retry-after"]) == ("elasticsearch_away", "2")
        assert (await client.get("/health/ready")).status_code == 200


async def test_only_reading_is_possible(page):
    async with running(page) as client:
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            assert (await client.request(method, "/api/symbols")).status_code == 405


async def test_the_description_of_the_paths_is_given_where_it_is_wanted(page):
    async with running(page) as client:
        assert (await client.get("/openapi.json")).status_code == 404
    async with running(page, docs=True) as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
    wanted = ("symbols", "candles", "market", "tape", "markers", "model", "completeness", "gaps", "alerts", "stream")
    assert {f"/api/{name}" for name in wanted} <= set(paths)

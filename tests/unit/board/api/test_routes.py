from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from tapeline_board.api.routes import create_app
from tapeline_board.settings import Settings

UNREACHABLE = "http://127.0.0.1:9"


@asynccontextmanager
async def running(static: Path, **settings: object) -> AsyncIterator[httpx.AsyncClient]:
    """A board whose Elasticsearch is unavailable."""
    api = create_app(Settings(elasticsearch_url=UNREACHABLE, static=static, **settings))
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


async def test_the_page_and_its_files_are_served_with_cache_control(page):
    async with running(page) as client:
        front, script = await client.get("/"), await client.get("/assets/main-1a2b.js")
        assert (front.status_code, front.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert front.headers["cache-control"] == "no-cache"
        assert "javascript" in script.headers["content-type"]
        assert script.headers["cache-control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize("path", ["/../settings.py", "/%2e%2e/settings.py", "/assets/../../x", "//etc/passwd"])
async def test_no_file_outside_the_page_is_served(page, path):
    (page.parent / "settings.py").write_text("secret")
    async with running(page) as client:
        response = await client.get(path)
        assert response.status_code in (404, 405)
        assert "secret" not in response.text


async def test_without_a_built_page_the_response_explains_how_to_build_it(tmp_path):
    async with running(tmp_path / "static") as client:
        missing = await client.get("/")
        assert missing.status_code == 503
        assert "make board" in missing.text
        assert (await client.get("/assets/x.js")).status_code == 404
        (tmp_path / "static").mkdir()
        (tmp_path / "static" / "index.html").write_text("built")
        assert (await client.get("/")).text == "built"


STATUS_BY_PATH = {"/": 200, "/assets/none.js": 404, "/api/status": 200, "/api/symbols": 503, "/api/market?from=1": 422}
STATUS_BY_PATH |= {"/metrics": 200, "/health/live": 200, "/health/ready": 200, "/api/none": 404}


@pytest.mark.parametrize("path", STATUS_BY_PATH)
async def test_every_response_has_security_headers(page, path):
    async with running(page) as client:
        response = await client.get(path)
    assert response.status_code == STATUS_BY_PATH[path]
    policy = dict(part.split(" ", 1) for part in response.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert not [value for value in policy.values() if "unsafe" in value or "http" in value or "*" in value]
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in response.headers


async def test_without_elasticsearch_the_board_is_ready_and_reports_the_outage(page):
    async with running(page) as client:
        status = (await client.get("/api/status")).json()
        assert (status["elasticsearch"], status["reason"]) == ("unavailable", "Connect call failed")
        failed = await client.get("/api/reconciliation")
        assert (failed.json()["error"], failed.headers["retry-after"]) == ("elasticsearch_unavailable", "2")
        assert (await client.get("/health/ready")).status_code == 200


ACCEPTED = {
    "/api/candles?instrument=bybit:spot:BTCUSDT": 503,
    "/api/candles?instrument=bybit%3Aspot%3ABTC%2FUSDT%3AUSDT": 503,
    "/api/market?instrument=bybit:spot:A&instrument=other:spot:A&venue=bybit": 503,
    "/api/candles?instrument=spot:BTCUSDT": 422,
    "/api/candles?instrument=bybit:moon:canary": 422,
    "/api/candles": 422,
    "/api/tape?symbol=canary": 422,
    "/api/stream?chart_symbol=canary": 422,
    "/api/gaps?instrument=bybit%253Aspot%253ABTCUSDT": 422,
}


@pytest.mark.parametrize("path", ACCEPTED)
async def test_an_instrument_is_a_query_parameter_percent_encoded_once(page, path):
    async with running(page) as client:
        response = await client.get(path)
    assert response.status_code == ACCEPTED[path]
    if response.status_code == 422:
        assert "canary" not in response.text
        assert response.json()["error"] == "invalid_query"
    if "=" in path and response.status_code == 422:
        assert "venue:market_type:symbol, such as bybit:spot:BTCUSDT" in response.json()["message"]


async def test_the_api_is_read_only(page):
    async with running(page) as client:
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            assert (await client.request(method, "/api/symbols")).status_code == 405


async def test_openapi_is_served_only_when_enabled(page):
    async with running(page) as client:
        assert (await client.get("/openapi.json")).status_code == 404
    async with running(page, docs=True) as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
    wanted = ("symbols", "candles", "market", "tape", "markers", "model", "reconciliation", "gaps", "alerts", "stream")
    assert {f"/api/{name}" for name in wanted} <= set(paths)

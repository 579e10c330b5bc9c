import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import pytest
import pytest_asyncio
from support import aeventually
from tapeline.model import features
from tapeline.names import MEDIA_TYPE_ARROW
from tapeline_inference.limits import App, Message
from tapeline_inference.routes import create_app
from tapeline_inference.settings import Settings

from unit.inference import factories

X = factories.rows(60, seed=8)
JSON_BODY = {"rows": [dict(zip(features.FEATURE_NAMES, row.tolist(), strict=True)) for row in X]}


def arrow(x: np.ndarray) -> bytes:
    content = pa.table([pa.array(column) for column in x.T], names=list(features.FEATURE_NAMES))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, content.schema) as writer:
        writer.write_table(content)
    return sink.getvalue().to_pybytes()


@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[None]:
    """What a server does around an application: start it, wait, stop it, wait."""
    received: asyncio.Queue[Message] = asyncio.Queue()
    sent: asyncio.Queue[Message] = asyncio.Queue()
    task = asyncio.create_task(app({"type": "lifespan"}, received.get, sent.put))
    for event in ("startup", "shutdown"):
        received.put_nowait({"type": f"lifespan.{event}"})
        assert (await sent.get())["type"] == f"lifespan.{event}.complete"
        if event == "startup":
            yield
    await task


@asynccontextmanager
async def running(models: Path, **settings: object) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(Settings(models=models, poll_s=0.05, **settings))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with lifespan(app), httpx.AsyncClient(transport=transport, base_url="http://inference") as client:
        yield client


async def has_model(client: httpx.AsyncClient) -> bool:
    return (await client.get("/model")).status_code == 200


async def ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/health/ready")).status_code == 200


@pytest_asyncio.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    factories.promoted(tmp_path, threshold=0.4)
    async with running(tmp_path) as client:
        await aeventually(lambda: ready(client), "model in service")
        yield client


async def post_arrow(client: httpx.AsyncClient, x: np.ndarray, **headers: str):
    return await client.post("/predict", content=arrow(x), headers={"Content-Type": MEDIA_TYPE_ARROW, **headers})


async def test_json_rows_are_answered_with_probabilities_and_predictions(client: httpx.AsyncClient) -> None:
    response = await client.post("/predict", json=JSON_BODY)
    expected = factories.expected_probabilities(X)
    assert response.json() == {
        "model_digest": (await client.get("/model")).json()["model_digest"],
        "feature_version": features.VERSION,
        "threshold": 0.4,
        "probabilities": expected.tolist(),
        "predictions": [int(p >= 0.4) for p in expected],
    }


async def test_arrow_rows_are_answered_in_order_with_the_model_in_the_headers(client: httpx.AsyncClient) -> None:
    response = await post_arrow(client, X, **{"X-Feature-Hash": features.schema_hash()})
    back = pa.ipc.open_stream(response.content).read_all()["probability"].to_numpy()
    assert np.array_equal(back, factories.expected_probabilities(X))
    assert response.headers["x-model-digest"] == (await client.get("/model")).json()["model_digest"]
    assert (response.headers["x-feature-version"], float(response.headers["x-model-threshold"])) == ("1", 0.4)


async def test_many_rows_are_answered_from_a_thread_the_same(client: httpx.AsyncClient) -> None:
    x = factories.rows(5_000, seed=2)
    back = pa.ipc.open_stream((await post_arrow(client, x)).content).read_all()["probability"].to_numpy()
    assert np.array_equal(back, factories.expected_probabilities(x))


async def test_a_client_with_other_features_is_refused(client: httpx.AsyncClient) -> None:
    response = await post_arrow(client, X, **{"X-Feature-Hash": "canary"})
    assert (response.status_code, response.json()["error"]) == (409, "feature_mismatch")
    assert "canary" not in response.text


@pytest.mark.parametrize("headers", [{"Content-Type": "text/csv"}, {"Content-Encoding": "gzip"}])
async def test_another_content_type_or_encoding_is_refused(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    response = await client.post("/predict", content=b"{}", headers={"Content-Type": "application/json", **headers})
    assert (response.status_code, response.json()["error"]) == (415, "unsupported_media_type")


async def test_the_model_route_returns_the_manifest(client: httpx.AsyncClient) -> None:
    facts = (await client.get("/model")).json()
    assert (facts["kind"], facts["threshold"], facts["metrics"]) == ("forest", 0.4, {"auc": 0.6})


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/redoc", "/nothing"])
async def test_pages_that_are_not_there_are_answered_in_json(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path)
    assert (response.status_code, response.json()["error"]) == (404, "not_found")


async def test_the_schema_is_served_when_enabled(tmp_path: Path) -> None:
    async with running(tmp_path, docs=True) as client:
        described = (await client.get("/openapi.json")).json()["paths"]["/predict"]["post"]
    assert {"400", "413", "422", "503"} <= set(described["responses"])
    assert MEDIA_TYPE_ARROW in described["requestBody"]["content"]


async def test_without_a_model_the_service_lives_and_says_why_it_is_not_ready(tmp_path: Path) -> None:
    async with running(tmp_path) as client:
        assert (await client.get("/health/live")).status_code == 200
        ready, predict = (await client.get("/health/ready")), (await client.post("/predict", json=JSON_BODY))
        assert (ready.status_code, predict.status_code, predict.headers["retry-after"]) == (503, 503, "5")
        assert "nothing has been promoted" in ready.text
        assert (predict.json()["error"], (await client.get("/model")).status_code) == ("model_unavailable", 503)


async def test_an_expired_model_is_not_used(tmp_path: Path) -> None:
    factories.promoted(tmp_path, created_at_ms=factories.NOW_MS - 2, expires_at_ms=factories.NOW_MS - 1)
    async with running(tmp_path) as client:
        await aeventually(lambda: has_model(client), "model read")
        response = await client.post("/predict", json=JSON_BODY)
        assert (response.status_code, response.json()["error"]) == (503, "model_expired")
        assert (await client.get("/health/ready")).status_code == 503


async def test_requests_are_counted_by_outcome(client: httpx.AsyncClient) -> None:
    (await client.post("/predict", json=JSON_BODY))
    (await client.post("/predict", content=b"{", headers={"Content-Type": "application/json"}))
    page = (await client.get("/metrics")).text
    assert 'tapeline_predict_requests_total{format="json",outcome="ok"}' in page
    assert 'tapeline_predict_requests_total{format="json",outcome="malformed"}' in page

"""The paths of the service: /predict, /model, /health/live, /health/ready, /metrics."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Final

import numpy as np
import orjson
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from tapeline.model.forest import Floats, Singles
from tapeline.names import MEDIA_TYPE_ARROW
from tapeline.service.health import Health

from tapeline_inference import columns, metrics, rows
from tapeline_inference.errors import ApiError, FeatureMismatch, WrongContentType
from tapeline_inference.limits import App, BodyLimiter, body_of
from tapeline_inference.settings import Settings
from tapeline_inference.store import CONDITION, ModelStore, Served

log = logging.getLogger(__name__)

JSON: Final = "application/json"
SILENCE_MAX_S: Final = 60.0
_FORMATS: Final = {MEDIA_TYPE_ARROW: "arrow", JSON: "json"}


class Predictor:
    """Answers one body with one model."""

    def __init__(self, settings: Settings, store: ModelStore) -> None:
        self._store, self._inline_rows_max = store, settings.inline_rows_max
        self.request_model = rows.request_model(settings.json_rows_max)
        self._readers: dict[str, Callable[[bytes], Singles]] = {
            MEDIA_TYPE_ARROW: lambda body: columns.read(body, settings.arrow_rows_max),
            JSON: rows.reader(self.request_model),
        }
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="predict")

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown()

    async def answer(self, request: Request) -> Response:
        """Return probabilities, or an error that is counted like an answer."""
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        kind = _FORMATS.get(media_type, "unknown")
        start_s = time.perf_counter()
        try:
            response, count = await self._predict(request, media_type)
        except ApiError as error:
            metrics.REQUESTS.labels(kind, error.code).inc()
            raise
        metrics.DURATION_S.labels(kind).observe(time.perf_counter() - start_s)
        metrics.REQUESTS.labels(kind, "ok").inc()
        metrics.ROWS.labels(kind).inc(count)
        return response

    async def _predict(self, request: Request, media_type: str) -> tuple[Response, int]:
        if media_type not in self._readers or request.headers.get("content-encoding", "identity") != "identity":
            raise WrongContentType(tuple(self._readers))
        served = self._store.get()
        about = served.manifest
        if request.headers.get("x-feature-hash", about.feature_hash) != about.feature_hash:
            raise FeatureMismatch(about.feature_hash, about.feature_version)
        matrix = self._readers[media_type](await request.body())
        if len(matrix) <= self._inline_rows_max:
            probabilities = served.forest.predict(matrix)
        else:
            loop = asyncio.get_running_loop()
            probabilities = await loop.run_in_executor(self._pool, served.forest.predict, matrix)
        return _respond(served, probabilities, media_type), len(matrix)


def _respond(served: Served, probabilities: Floats, media_type: str) -> Response:
    about = served.manifest
    headers = {
        "X-Model-Digest": served.digest,
        "X-Feature-Version": about.feature_version,
        "X-Model-Threshold": repr(about.threshold),
    }
    if media_type == MEDIA_TYPE_ARROW:
        return Response(columns.answer(probabilities), headers=headers, media_type=MEDIA_TYPE_ARROW)
    content = {
        "model_digest": served.digest,
        "feature_version": about.feature_version,
        "threshold": about.threshold,
        "probabilities": probabilities,
        "predictions": (probabilities >= about.threshold).astype(np.int64),
    }
    body = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, headers=headers, media_type=JSON)


def create_app(settings: Settings) -> App:
    """Return the application; its models are watched for as long as it runs."""
    health = Health((CONDITION,), SILENCE_MAX_S)
    store = ModelStore(settings.models, health, settings.cache)
    predictor = Predictor(settings, store)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watcher = asyncio.create_task(store.watch(settings.poll_s))
        watcher.add_done_callback(_tell_end)
        yield
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)
        predictor.close()

    api = FastAPI(
        title="Tapeline inference",
        lifespan=lifespan,
        openapi_url="/openapi.json" if settings.docs else None,
        exception_handlers={ApiError: _tell, HTTPException: _tell_http, Exception: _tell_bug},
    )
    _add_predict(api, predictor)
    _add_facts(api, store, health)
    return BodyLimiter(api, settings.body_bytes_max, settings.body_timeout_s, settings.requests_max)


def _add_predict(api: FastAPI, predictor: Predictor) -> None:
    schema = predictor.request_model.model_json_schema()
    arrow = {"schema": {"type": "string", "format": "binary"}}
    codes = {400: "malformed", 408: "body too slow", 409: "feature mismatch", 413: "body too large"}
    codes |= {415: "unsupported media type", 422: "invalid rows", 503: "no model, expired or overloaded"}

    @api.post(
        "/predict",
        responses={code: {"description": text} for code, text in codes.items()},
        openapi_extra={"requestBody": {"content": {JSON: {"schema": schema}, MEDIA_TYPE_ARROW: arrow}}},
    )
    async def predict(request: Request) -> Response:
        return await predictor.answer(request)


def _add_facts(api: FastAPI, store: ModelStore, health: Health) -> None:
    @api.get("/model")
    async def model() -> Response:
        served = store.latest()
        return _json({"model_digest": served.digest, **served.manifest.model_dump(mode="json")})

    @api.get("/health/live")
    async def live() -> Response:
        alive, detail = health.live()
        return _json(detail, 200 if alive else 503)

    @api.get("/health/ready")
    async def ready() -> Response:
        store.report()
        holds, detail = health.ready()
        return _json(detail, 200 if holds else 503)

    @api.get("/metrics")
    async def metrics_page() -> Response:
        store.report()
        body, content_type = metrics.exposition()
        return Response(body, headers={"Content-Type": content_type})


def _tell_end(watcher: asyncio.Task[None]) -> None:
    # A bug here leaves the old model serving; liveness fails after SILENCE_MAX_S and ends that.
    if not watcher.cancelled() and watcher.exception() is not None:
        log.error("models are no longer watched", exc_info=watcher.exception())


def _json(content: dict[str, object], status: int = 200) -> Response:
    return Response(orjson.dumps(content), status_code=status, media_type=JSON)


async def _tell(_: Request, error: Exception) -> Response:
    known = error if isinstance(error, ApiError) else ApiError("the server failed; see its log")
    return Response(body_of(known), int(known.status), dict(known.headers), JSON)


async def _tell_http(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    code = {404: "not_found", 405: "method_not_allowed"}.get(status, "refused")
    message = "there are POST /predict and GET /model, /health/live, /health/ready, /metrics"
    return _json({"error": code, "message": message}, status)


async def _tell_bug(request: Request, error: Exception) -> Response:
    metrics.REQUESTS.labels("unknown", ApiError.code).inc()
    return await _tell(request, error)

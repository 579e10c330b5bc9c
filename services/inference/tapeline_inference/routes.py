"""HTTP routes: /predict, /model, /health/live, /health/ready, /metrics."""

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

from tapeline_inference import arrow_codec, json_codec, metrics
from tapeline_inference.errors import ApiError, FeatureMismatch, WrongContentType
from tapeline_inference.limits import App, BodyLimiter, error_body
from tapeline_inference.settings import Settings
from tapeline_inference.store import CONDITION, ModelStore, ServedModel

log = logging.getLogger(__name__)

JSON: Final = "application/json"
SILENCE_MAX_S: Final = 60.0
_FORMATS: Final = {MEDIA_TYPE_ARROW: "arrow", JSON: "json"}


class Predictor:
    """Handles prediction requests."""

    def __init__(self, settings: Settings, store: ModelStore) -> None:
        self._store, self._inline_rows_max = store, settings.inline_rows_max
        self.request_model = json_codec.request_model(settings.json_rows_max)
        self._decoders: dict[str, Callable[[bytes], Singles]] = {
            MEDIA_TYPE_ARROW: lambda body: arrow_codec.decode(body, settings.arrow_rows_max),
            JSON: json_codec.decoder(self.request_model),
        }
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="predict")

    def close(self) -> None:
        """Stop the threads."""
        self._pool.shutdown()

    async def handle(self, request: Request) -> Response:
        """Return probabilities; count the request by its outcome."""
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
        if media_type not in self._decoders or request.headers.get("content-encoding", "identity") != "identity":
            raise WrongContentType(tuple(self._decoders))
        served = self._store.get()
        manifest = served.manifest
        if request.headers.get("x-feature-hash", manifest.feature_hash) != manifest.feature_hash:
            raise FeatureMismatch(manifest.feature_hash, manifest.feature_version)
        matrix = self._decoders[media_type](await request.body())
        if len(matrix) <= self._inline_rows_max:
            probabilities = served.forest.predict(matrix)
        else:
            loop = asyncio.get_running_loop()
            probabilities = await loop.run_in_executor(self._pool, served.forest.predict, matrix)
        return _prediction_response(served, probabilities, media_type), len(matrix)


def _prediction_response(served: ServedModel, probabilities: Floats, media_type: str) -> Response:
    manifest = served.manifest
    headers = {
        "X-Model-Digest": served.digest,
        "X-Feature-Version": manifest.feature_version,
        "X-Model-Threshold": repr(manifest.threshold),
    }
    if media_type == MEDIA_TYPE_ARROW:
        return Response(arrow_codec.encode(probabilities), headers=headers, media_type=MEDIA_TYPE_ARROW)
    content = {
        "model_digest": served.digest,
        "feature_version": manifest.feature_version,
        "threshold": manifest.threshold,
        "probabilities": probabilities,
        "predictions": (probabilities >= manifest.threshold).astype(np.int64),
    }
    body = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, headers=headers, media_type=JSON)


def create_app(settings: Settings) -> App:
    """Return the application, which polls for models while it runs."""
    health = Health((CONDITION,), SILENCE_MAX_S)
    store = ModelStore(settings.models, health, settings.cache)
    predictor = Predictor(settings, store)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        poller = asyncio.create_task(store.poll(settings.poll_s))
        poller.add_done_callback(_log_poller_end)
        yield
        poller.cancel()
        await asyncio.gather(poller, return_exceptions=True)
        predictor.close()

    api = FastAPI(
        title="Tapeline inference",
        lifespan=lifespan,
        openapi_url="/openapi.json" if settings.docs else None,
        exception_handlers={ApiError: _api_error, HTTPException: _http_error, Exception: _unexpected_error},
    )
    _add_predict(api, predictor)
    _add_status(api, store, health)
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
        return await predictor.handle(request)


def _add_status(api: FastAPI, store: ModelStore, health: Health) -> None:
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
        store.update_health()
        holds, detail = health.ready()
        return _json(detail, 200 if holds else 503)

    @api.get("/metrics")
    async def metrics_page() -> Response:
        store.update_health()
        body, content_type = metrics.exposition()
        return Response(body, headers={"Content-Type": content_type})


def _log_poller_end(poller: asyncio.Task[None]) -> None:
    # After a bug here the old model is still served, until liveness fails after SILENCE_MAX_S.
    if not poller.cancelled() and poller.exception() is not None:
        log.error("model polling ended", exc_info=poller.exception())


def _json(content: dict[str, object], status: int = 200) -> Response:
    return Response(orjson.dumps(content), status_code=status, media_type=JSON)


async def _api_error(_: Request, error: Exception) -> Response:
    known = error if isinstance(error, ApiError) else ApiError("the server failed; see its log")
    return Response(error_body(known), int(known.status), dict(known.headers), JSON)


async def _http_error(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    code = {404: "not_found", 405: "method_not_allowed"}.get(status, "refused")
    message = "the routes are POST /predict and GET /model, /health/live, /health/ready, /metrics"
    return _json({"error": code, "message": message}, status)


async def _unexpected_error(request: Request, error: Exception) -> Response:
    metrics.REQUESTS.labels("unknown", ApiError.code).inc()
    return await _api_error(request, error)

"""HTTP routes of the board: the page, /api, /health, /metrics."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Final

import orjson
from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import StreamingResponse
from tapeline.records.candle import MINUTE_MS

from tapeline_board import metrics
from tapeline_board.api import security_headers
from tapeline_board.api.query_params import (
    MINUTES_MAX,
    ChartQuery,
    InstrumentQuery,
    StreamQuery,
    TapeQuery,
    TradeQuery,
)
from tapeline_board.api.schemas.alerts import AlertsResponse, GapsResponse
from tapeline_board.api.schemas.common import ApiModel, ErrorResponse, StatusResponse
from tapeline_board.api.schemas.market import (
    CandlesResponse,
    MarkersResponse,
    MarketResponse,
    SymbolsResponse,
    TapeResponse,
)
from tapeline_board.api.schemas.model import ModelResponse
from tapeline_board.api.schemas.reconciliation import ReconciliationResponse
from tapeline_board.app import Board
from tapeline_board.errors import ApiError, InvalidQuery
from tapeline_board.live.hub import topics
from tapeline_board.live.sse import EventStream
from tapeline_board.settings import Settings

JSON: Final = "application/json"
_LONGEST_MS: Final = MINUTES_MAX * MINUTE_MS
_ERRORS: Final[dict[int | str, dict[str, object]]] = {
    status: {"model": ErrorResponse, "description": text}
    for status, text in (
        (422, "invalid query"),
        (503, "Elasticsearch is unavailable, or a limit is reached"),
        (504, "Elasticsearch timed out"),
    )
}

Fetch = Callable[[], Awaitable[ApiModel]]


def create_app(settings: Settings) -> FastAPI:
    """Return the application; its board is `app.state.board` and runs as long as the application."""
    board = Board(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with board.running():
            yield

    api = FastAPI(
        title="Tapeline board",
        lifespan=lifespan,
        openapi_url="/openapi.json" if settings.docs else None,
        docs_url=None,
        redoc_url=None,
        exception_handlers={
            ApiError: _handle_api_error,
            RequestValidationError: _handle_invalid,
            HTTPException: _handle_http,
            Exception: _handle_bug,
        },
    )
    api.state.board = board
    api.add_middleware(GZipMiddleware, minimum_size=1_000, compresslevel=5)
    api.add_middleware(security_headers.SecurityHeaders)
    _add_market(api, board)
    _add_chart(api, board)
    _add_evaluation(api, board)
    _add_stream(api, board)
    _add_operations(api, board)
    _add_page(api, settings)
    return api


def _responder(board: Board) -> Callable[[Request, BaseModel | None, Fetch], Awaitable[Response]]:
    async def respond(request: Request, query: BaseModel | None, fetch: Fetch) -> Response:
        # The validated query, not the URL: equal queries share one key.
        key = f"{request.url.path} {query.model_dump_json() if query is not None else ''}"
        return Response(await board.respond(key, fetch), media_type=JSON)

    return respond


def _add_market(api: FastAPI, board: Board) -> None:
    respond, reader = _responder(board), board.reader

    @api.get("/api/symbols", response_model=SymbolsResponse, responses=_ERRORS)
    async def symbols(request: Request) -> Response:
        return await respond(request, None, reader.symbols)

    @api.get("/api/market", response_model=MarketResponse, responses=_ERRORS)
    async def market(request: Request, query: Annotated[TradeQuery, Query()]) -> Response:
        span = query.span(reader.clock_ms())

        async def fetch() -> ApiModel:
            return (await reader.market(query.filters(), span)).snapshot()

        return await respond(request, query, fetch)

    @api.get("/api/tape", response_model=TapeResponse, responses=_ERRORS)
    async def tape(request: Request, query: Annotated[TapeQuery, Query()]) -> Response:
        is_any_time = query.from_ is None and query.to is None
        span = None if is_any_time else query.span(reader.clock_ms())
        return await respond(request, query, lambda: reader.tape(query.filters(), span, query.limit))


def _add_chart(api: FastAPI, board: Board) -> None:
    respond, reader = _responder(board), board.reader

    @api.get("/api/candles", response_model=CandlesResponse, responses=_ERRORS)
    async def candles(request: Request, query: Annotated[ChartQuery, Query()]) -> Response:
        span = query.span(reader.clock_ms())
        return await respond(request, query, lambda: reader.candles(query.one(), span))

    @api.get("/api/markers", response_model=MarkersResponse, responses=_ERRORS)
    async def markers(request: Request, query: Annotated[ChartQuery, Query()]) -> Response:
        span = query.span(reader.clock_ms(), _LONGEST_MS)
        return await respond(request, query, lambda: reader.markers(query.one(), span))


def _add_evaluation(api: FastAPI, board: Board) -> None:
    respond, reader = _responder(board), board.reader

    @api.get("/api/model", response_model=ModelResponse, responses=_ERRORS)
    async def model(request: Request) -> Response:
        return await respond(request, None, reader.model)

    @api.get("/api/reconciliation", response_model=ReconciliationResponse, responses=_ERRORS)
    async def reconciliation(request: Request, query: Annotated[InstrumentQuery, Query()]) -> Response:
        span = query.span(reader.clock_ms(), _LONGEST_MS)
        return await respond(request, query, lambda: reader.reconciliation(query.filters(), span))

    @api.get("/api/gaps", response_model=GapsResponse, responses=_ERRORS)
    async def gaps(request: Request, query: Annotated[InstrumentQuery, Query()]) -> Response:
        span = query.span(reader.clock_ms())
        return await respond(request, query, lambda: reader.gaps(query.filters(), span))

    @api.get("/api/alerts", response_model=AlertsResponse, responses=_ERRORS)
    async def alerts(request: Request, query: Annotated[InstrumentQuery, Query()]) -> Response:
        span = query.span(reader.clock_ms())
        return await respond(request, query, lambda: reader.alerts(query.filters(), span))


def _add_stream(api: FastAPI, board: Board) -> None:
    settings = board.settings

    @api.get("/api/stream", response_class=StreamingResponse, responses=_ERRORS)
    async def stream(query: Annotated[StreamQuery, Query()]) -> Response:
        queue = board.hub.subscribe(topics(query))
        return EventStream(queue, board.hub.unsubscribe, settings.keep_alive_s, settings.send_timeout_s)

    @api.get("/api/status", response_model=StatusResponse)
    async def status() -> Response:
        return Response(board.availability.status().model_dump_json(), media_type=JSON)


def _add_operations(api: FastAPI, board: Board) -> None:
    health = board.health

    @api.get("/health/live", include_in_schema=False)
    async def live() -> Response:
        alive, detail = health.live()
        return _json(detail, 200 if alive else 503)

    @api.get("/health/ready", include_in_schema=False)
    async def ready() -> Response:
        ready_, detail = health.ready()
        return _json(detail, 200 if ready_ else 503)

    @api.get("/metrics", include_in_schema=False)
    async def metrics_page() -> Response:
        body, content_type = metrics.exposition()
        return Response(body, headers={"Content-Type": content_type})


def _add_page(api: FastAPI, settings: Settings) -> None:
    @api.get("/", include_in_schema=False)
    async def page() -> Response:
        return security_headers.page_response(settings.static)

    files = StaticFiles(directory=settings.static, check_dir=False)
    # Otherwise every request fails while the folder is missing; the page may be built later.
    files.config_checked = True
    # Last: it matches every remaining path.
    api.mount("/", files)


def _json(content: dict[str, object], status: int = 200) -> Response:
    return Response(orjson.dumps(content), status_code=status, media_type=JSON)


def _error_response(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    body = ErrorResponse(error=code, message=message).model_dump_json()
    return Response(body, status, headers, JSON)


async def _handle_api_error(_: Request, error: Exception) -> Response:
    known = error if isinstance(error, ApiError) else ApiError("the board failed; see its log")
    return _error_response(int(known.status), known.code, str(known), dict(known.headers))


async def _handle_invalid(_: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    # Names of parameters and rules; no values that the client sent.
    details = "; ".join(
        f"{'.'.join(str(part)[:40] for part in one['loc'][1:]) or 'query'}: {one['msg'][:120]}" for one in found[:5]
    )
    return _error_response(int(InvalidQuery.status), InvalidQuery.code, details)


async def _handle_http(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    code = {404: "not_found", 405: "method_not_allowed"}.get(status, "http_error")
    return _error_response(status, code, "the board serves the page at /, /api, /health and /metrics")


async def _handle_bug(request: Request, error: Exception) -> Response:
    return await _handle_api_error(request, error)

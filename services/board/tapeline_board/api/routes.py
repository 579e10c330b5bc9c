"""The paths of the board: the page, /api, /health, /metrics."""

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
    BooksQuery,
    Filters,
    StreamQuery,
    SymbolQuery,
    TapeQuery,
    TradeQuery,
)
from tapeline_board.api.schemas import judgement as judged
from tapeline_board.api.schemas import market as schemas
from tapeline_board.app import Board
from tapeline_board.errors import ApiError, InvalidQuery
from tapeline_board.live.hub import topics
from tapeline_board.live.sse import EventStream
from tapeline_board.settings import Settings

JSON: Final = "application/json"
_LONGEST_MS: Final = MINUTES_MAX * MINUTE_MS
_REFUSALS: Final[dict[int | str, dict[str, object]]] = {
    status: {"model": schemas.Refusal, "description": text}
    for status, text in (
        (422, "invalid query"),
        (503, "Elasticsearch is away, or too much is asked"),
        (504, "too slow"),
    )
}

Asked = Callable[[], Awaitable[schemas.Told]]


def create_app(settings: Settings) -> FastAPI:
    """Return the application; its board stands in `app.state.board` and runs as long as it does."""
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
            ApiError: _tell,
            RequestValidationError: _tell_invalid,
            HTTPException: _tell_http,
            Exception: _tell_bug,
        },
    )
    api.state.board = board
    api.add_middleware(GZipMiddleware, minimum_size=1_000, compresslevel=5)
    api.add_middleware(security_headers.Fenced)
    _add_lists(api, board)
    _add_chart(api, board)
    _add_books(api, board)
    _add_stream(api, board)
    _add_facts(api, board)
    _add_page(api, settings)
    return api


def _answering(board: Board) -> Callable[[Request, BaseModel | None, Asked], Awaitable[Response]]:
    async def answer(request: Request, query: BaseModel | None, ask: Asked) -> Response:
        # The validated query, not the URL: what means the same is the same question.
        key = f"{request.url.path} {query.model_dump_json() if query is not None else ''}"
        return Response(await board.answer(key, ask), media_type=JSON)

    return answer


def _add_lists(api: FastAPI, board: Board) -> None:
    answer, reader = _answering(board), board.reader

    @api.get("/api/symbols", response_model=schemas.SymbolsAnswer, responses=_REFUSALS)
    async def symbols(request: Request) -> Response:
        return await answer(request, None, reader.symbols)

    @api.get("/api/market", response_model=schemas.MarketAnswer, responses=_REFUSALS)
    async def market(request: Request, query: Annotated[TradeQuery, Query()]) -> Response:
        span = query.span(reader.clock_ms())

        async def ask() -> schemas.Told:
            return (await reader.market(query.filters(), span)).whole()

        return await answer(request, query, ask)

    @api.get("/api/tape", response_model=schemas.TapeAnswer, responses=_REFUSALS)
    async def tape(request: Request, query: Annotated[TapeQuery, Query()]) -> Response:
        is_any_time = query.from_ is None and query.to is None
        span = None if is_any_time else query.span(reader.clock_ms())
        return await answer(request, query, lambda: reader.tape(query.filters(), span, query.limit))


def _add_chart(api: FastAPI, board: Board) -> None:
    answer, reader = _answering(board), board.reader

    @api.get("/api/candles", response_model=schemas.CandlesAnswer, responses=_REFUSALS)
    async def candles(request: Request, query: Annotated[SymbolQuery, Query()]) -> Response:
        span = query.span(reader.clock_ms())
        return await answer(request, query, lambda: reader.candles(_market(query), span))

    @api.get("/api/markers", response_model=schemas.MarkersAnswer, responses=_REFUSALS)
    async def markers(request: Request, query: Annotated[SymbolQuery, Query()]) -> Response:
        span = query.span(reader.clock_ms(), _LONGEST_MS)
        return await answer(request, query, lambda: reader.markers(_market(query), span))


def _market(query: SymbolQuery) -> Filters:
    return Filters(query.market_type, (query.symbol,))


def _add_books(api: FastAPI, board: Board) -> None:
    answer, reader = _answering(board), board.reader

    @api.get("/api/model", response_model=judged.ModelAnswer, responses=_REFUSALS)
    async def model(request: Request) -> Response:
        return await answer(request, None, reader.model)

    @api.get("/api/completeness", response_model=judged.CompletenessAnswer, responses=_REFUSALS)
    async def completeness(request: Request, query: Annotated[BooksQuery, Query()]) -> Response:
        span = query.span(reader.clock_ms(), _LONGEST_MS)
        return await answer(request, query, lambda: reader.completeness(query.filters(), span))

    @api.get("/api/gaps", response_model=judged.GapsAnswer, responses=_REFUSALS)
    async def gaps(request: Request, query: Annotated[BooksQuery, Query()]) -> Response:
        span = query.span(reader.clock_ms())
        return await answer(request, query, lambda: reader.gaps(query.filters(), span))

    @api.get("/api/alerts", response_model=judged.AlertsAnswer, responses=_REFUSALS)
    async def alerts(request: Request, query: Annotated[BooksQuery, Query()]) -> Response:
        span = query.span(reader.clock_ms())
        return await answer(request, query, lambda: reader.alerts(query.filters(), span))


def _add_stream(api: FastAPI, board: Board) -> None:
    settings = board.settings

    @api.get("/api/stream", response_class=StreamingResponse, responses=_REFUSALS)
    async def stream(query: Annotated[StreamQuery, Query()]) -> Response:
        mailbox = board.hub.join(topics(query))
        return EventStream(mailbox, board.hub.leave, settings.keep_alive_s, settings.send_timeout_s)

    @api.get("/api/status", response_model=schemas.StatusAnswer)
    async def status() -> Response:
        return Response(board.availability.status().model_dump_json(), media_type=JSON)


def _add_facts(api: FastAPI, board: Board) -> None:
    health = board.health

    @api.get("/health/live", include_in_schema=False)
    async def live() -> Response:
        alive, detail = health.live()
        return _json(detail, 200 if alive else 503)

    @api.get("/health/ready", include_in_schema=False)
    async def ready() -> Response:
        holds, detail = health.ready()
        return _json(detail, 200 if holds else 503)

    @api.get("/metrics", include_in_schema=False)
    async def metrics_page() -> Response:
        body, content_type = metrics.exposition()
        return Response(body, headers={"Content-Type": content_type})


def _add_page(api: FastAPI, settings: Settings) -> None:
    @api.get("/", include_in_schema=False)
    async def page() -> Response:
        return security_headers.front(settings.static)

    files = StaticFiles(directory=settings.static, check_dir=False)
    # It would fail at each request while the folder is not there; it may be built later.
    files.config_checked = True
    # Last: it takes every path that is left.
    api.mount("/", files)


def _json(content: dict[str, object], status: int = 200) -> Response:
    return Response(orjson.dumps(content), status_code=status, media_type=JSON)


def _refusal(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    body = schemas.Refusal(error=code, message=message).model_dump_json()
    return Response(body, status, headers, JSON)


async def _tell(_: Request, error: Exception) -> Response:
    known = error if isinstance(error, ApiError) else ApiError("the board failed; see its log")
    return _refusal(int(known.status), known.code, str(known), dict(known.headers))


async def _tell_invalid(_: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    # Names and rules, and nothing of what was sent but the name.
    said = "; ".join(f"{'.'.join(str(part)[:40] for part in one['loc'][1:])}: {one['msg'][:120]}" for one in found[:5])
    return _refusal(int(InvalidQuery.status), InvalidQuery.code, said)


async def _tell_http(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    code = {404: "not_found", 405: "method_not_allowed"}.get(status, "refused")
    return _refusal(status, code, "there are the page at /, /api, /health and /metrics")


async def _tell_bug(request: Request, error: Exception) -> Response:
    return await _tell(request, error)

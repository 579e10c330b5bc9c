"""The HTTP side: Bybit's REST paths, the control paths, health and metrics.

Thin: answers are made in rest.py and exchange.py.
"""

import time
from http import HTTPStatus

import orjson
from aiohttp import web

from tapeline_simulator.bybit import rest
from tapeline_simulator.exchange import Exchange
from tapeline_simulator.limits import RateLimit
from tapeline_simulator.metrics import Metrics


class Routes:
    """Handlers of one exchange.

    Args:
        exchange: what is shown and controlled.
        limit: how often an address may ask.
        metrics: what counts the requests.
    """

    def __init__(self, exchange: Exchange, limit: RateLimit, metrics: Metrics) -> None:
        self._exchange, self._limit, self._metrics = exchange, limit, metrics

    def table(self) -> list[web.RouteDef]:
        """Return the paths."""
        return [
            web.get("/v5/market/{path}", self._market),
            web.get("/simulator/status", self._status),
            web.post("/simulator/pause", self._pause),
            web.post("/simulator/resume", self._resume),
            web.get("/health/live", self._healthy),
            web.get("/health/ready", self._healthy),
            web.get("/metrics", self._show_metrics),
        ]

    async def _market(self, request: web.Request) -> web.Response:
        response = self._answer(request)
        self._metrics.answered(response.status)
        return response

    def _answer(self, request: web.Request) -> web.Response:
        if not self._limit.allows(request.remote or "", time.monotonic()):
            return web.Response(status=HTTPStatus.FORBIDDEN, text="access too frequent")
        now_ns = time.time_ns()
        result = rest.answer(request.match_info["path"], request.query, self._exchange, now_ns)
        if result is None:
            return web.Response(status=HTTPStatus.NOT_FOUND, text="404 page not found")
        return _json(rest.envelope(result, now_ns))

    async def _status(self, request: web.Request) -> web.Response:
        return _json(self._exchange.status())

    async def _pause(self, request: web.Request) -> web.Response:
        self._exchange.pause()
        return _json(self._exchange.status())

    async def _resume(self, request: web.Request) -> web.Response:
        self._exchange.resume(time.time_ns() // 1_000_000)
        return _json(self._exchange.status())

    async def _healthy(self, request: web.Request) -> web.Response:
        # One loop answers this and makes the trades: an answer says that it turns. It listens only
        # once recording and ledger are read.
        return _json({"live": True, "ready": True, "state": self._exchange.status()["state"]})

    async def _show_metrics(self, request: web.Request) -> web.Response:
        body, content_type = self._metrics.text()
        return web.Response(body=body, headers={"Content-Type": content_type})


def _json(body: object) -> web.Response:
    return web.Response(body=orjson.dumps(body), content_type="application/json")

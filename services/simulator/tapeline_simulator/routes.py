"""HTTP routes: Bybit's REST paths, control, health and metrics.

Responses are built in bybit/rest.py and exchange.py.
"""

import time
from http import HTTPStatus

import orjson
from aiohttp import web
from tapeline.service.clock import now_ms

from tapeline_simulator.bybit import rest
from tapeline_simulator.exchange import Exchange
from tapeline_simulator.limits import RateLimit
from tapeline_simulator.metrics import Metrics


class Routes:
    """Handlers of one exchange.

    Args:
        exchange: the exchange to show and control.
        limit: the rate limit by address.
        metrics: counts the requests.
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
        response = self._respond(request)
        self._metrics.responded(response.status)
        return response

    def _respond(self, request: web.Request) -> web.Response:
        if not self._limit.allows(request.remote or "", time.monotonic()):
            return web.Response(status=HTTPStatus.FORBIDDEN, text="access too frequent")
        now_ns = time.time_ns()
        result = rest.respond(request.match_info["path"], request.query, self._exchange, now_ns)
        if result is None:
            return web.Response(status=HTTPStatus.NOT_FOUND, text="404 page not found")
        return _json(rest.envelope(result, now_ns))

    async def _status(self, request: web.Request) -> web.Response:
        return _json(self._exchange.status())

    async def _pause(self, request: web.Request) -> web.Response:
        self._exchange.pause()
        return _json(self._exchange.status())

    async def _resume(self, request: web.Request) -> web.Response:
        self._exchange.resume(now_ms())
        return _json(self._exchange.status())

    async def _healthy(self, request: web.Request) -> web.Response:
        # The event loop that makes the trades serves this too, so a response shows that it runs. The server
        # listens only after recording and ledger are read.
        return _json({"live": True, "ready": True, "state": self._exchange.status()["state"]})

    async def _show_metrics(self, request: web.Request) -> web.Response:
        body, content_type = self._metrics.text()
        return web.Response(body=body, headers={"Content-Type": content_type})


def _json(body: object) -> web.Response:
    return web.Response(body=orjson.dumps(body), content_type="application/json")

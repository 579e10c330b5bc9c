"""Prometheus metrics of the simulator."""

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, generate_latest


class Metrics:
    """The registry of one simulator and its metrics."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._trades = Counter(
            "tapeline_simulator_trades_total", "Trades simulated or replayed", ["market_type"], registry=self._registry
        )
        self._frames = Counter(
            "tapeline_simulator_frames_total",
            "Frames queued to sockets, counted per socket",
            ["market_type"],
            registry=self._registry,
        )
        self._sockets = Gauge("tapeline_simulator_sockets", "Open WebSockets", ["market_type"], registry=self._registry)
        self._dropped = Counter(
            "tapeline_simulator_dropped_sockets_total",
            "Sockets aborted by the simulator",
            ["reason"],
            registry=self._registry,
        )
        self._requests = Counter(
            "tapeline_simulator_rest_requests_total",
            "REST requests by HTTP status",
            ["status"],
            registry=self._registry,
        )

    def sent(self, market_type: str, trades: int, sockets: int) -> None:
        """Count a frame, its trades and its sockets."""
        self._trades.labels(market_type).inc(trades)
        self._frames.labels(market_type).inc(sockets)

    def opened(self, market_type: str) -> None:
        """Count an opened socket."""
        self._sockets.labels(market_type).inc()

    def closed(self, market_type: str) -> None:
        """Count a closed socket."""
        self._sockets.labels(market_type).dec()

    def dropped(self, reason: str) -> None:
        """Count an aborted socket: `slow` or `idle`."""
        self._dropped.labels(reason).inc()

    def responded(self, status: int) -> None:
        """Count a REST request."""
        self._requests.labels(str(status)).inc()

    def text(self) -> tuple[bytes, str]:
        """Return body and content type of /metrics."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

"""Liveness, readiness and metrics over HTTP, for services that have no web framework.

Live means: the main loop still runs. Ready means: every named condition holds. A dependency that is
down makes a service unready, never dead: a restart would turn an outage into a gap.
"""

import json
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Health:
    """Named conditions and a heartbeat; safe to use from any thread."""

    def __init__(self, conditions: tuple[str, ...], max_silence_s: float) -> None:
        """Start unready in every condition.

        Args:
            conditions: what must hold before the service is ready.
            max_silence_s: seconds without `beat()` after which the service is no longer live.
        """
        self._lock = threading.Lock()
        self._reasons: dict[str, str | None] = dict.fromkeys(conditions, "not yet")
        self._max_silence_s = max_silence_s
        self._last_beat = time.monotonic()

    def beat(self) -> None:
        """Record that the main loop has run once more."""
        self._last_beat = time.monotonic()

    def set_ready(self, condition: str) -> None:
        """Set a condition to true."""
        self._set(condition, None)

    def set_unready(self, condition: str, reason: str) -> None:
        """Set a condition to false, with the reason."""
        self._set(condition, reason)

    def _set(self, condition: str, reason: str | None) -> None:
        with self._lock:
            if condition not in self._reasons:
                raise KeyError(f"condition was {condition!r}; known: {sorted(self._reasons)}")
            self._reasons[condition] = reason

    def live(self) -> tuple[bool, dict[str, object]]:
        """Return whether the main loop runs, and how many seconds ago it last ran."""
        silence_s = time.monotonic() - self._last_beat
        alive = silence_s <= self._max_silence_s
        return alive, {"live": alive, "silence_s": round(silence_s, 3)}

    def ready(self) -> tuple[bool, dict[str, object]]:
        """Return whether every condition holds, and the reasons of those that do not."""
        with self._lock:
            waiting = {name: reason for name, reason in self._reasons.items() if reason is not None}
        return not waiting, {"ready": not waiting, "waiting_for": waiting}


def serve(health: Health, host: str, port: int, metrics: Callable[[], tuple[bytes, str]]) -> ThreadingHTTPServer:
    """Serve /health/live, /health/ready and /metrics from a daemon thread.

    Args:
        health: state of the two health paths; 200 when it holds, else 503.
        host: address to listen on.
        port: TCP port; 0 takes a free one, see `server_port` of the result.
        metrics: gives the body and the content type of /metrics.

    Raises:
        OSError: the port is not available.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                body, content_type = metrics()
                self._send(HTTPStatus.OK, body, content_type)
            elif self.path in ("/health/live", "/health/ready"):
                holds, detail = health.live() if self.path.endswith("live") else health.ready()
                status = HTTPStatus.OK if holds else HTTPStatus.SERVICE_UNAVAILABLE
                self._send(status, json.dumps(detail).encode(), "application/json")
            else:
                self._send(HTTPStatus.NOT_FOUND, b"", "text/plain")

        def _send(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Keep probes out of the log."""

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server

"""A server on a real socket whose answers a test decides; the ground that the other fakes stand on."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import urlsplit

Answer = tuple[int, dict[str, str], bytes]


class Site(Protocol):
    def respond(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer: ...


class Requests:
    """Everything that was asked, over all sites, and a hook to interfere at a given one."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.before: Callable[[int], None] = lambda number: None
        self.after: Callable[[int], None] = lambda number: None
        self.lock = threading.RLock()


@contextmanager
def serving(site: Site, requests: Requests | None = None) -> Iterator[str]:
    """Serve a site; gives host:port."""
    log = requests or Requests()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with log.lock:
                log.seen.append(f"{self.command} {urlsplit(self.path).path}")
                number = len(log.seen)
                log.before(number)
                status, headers, content = site.respond(self.command, self.path, dict(self.headers), body)
                log.after(number)
            try:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"" if self.command == "HEAD" else content)
            except ConnectionError:
                # Whoever asked was killed by the test.
                self.close_connection = True

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_any  # noqa: N815 - http.server's names

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except ConnectionError:
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""Serves the built page, and sets security and cache headers on every response.

The policy allows no foreign origin, no inline code and no framing; the browser enforces it. To allow something: one
word in POLICY, and a reason beside it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tapeline_board.errors import PageNotBuilt

POLICY: Final[Mapping[str, str]] = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    # data: for small icons that the build puts into the style sheet.
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "manifest-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in POLICY.items()),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_NOT_BUILT: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Tapeline: the page is not built</title>
<h1>The page is not built</h1>
<p>The board serves <code>/api</code>, but the files of the page are missing.</p>
<p>Build them with <code>make board</code> in the checkout, as <code>make setup</code> does too; then load this again.
</html>
"""


class SecurityHeaders:
    """ASGI middleware: sets the security headers and Cache-Control on every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("Cache-Control", cache_control(scope["path"], message["status"]))
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def cache_control(path: str, status: int) -> str:
    """Return the Cache-Control header: files that the build names by content are immutable, the rest is revalidated."""
    if path.startswith("/assets/") and status == 200:
        return "public, max-age=31536000, immutable"
    return "no-cache" if status == 200 and not path.startswith(("/api/", "/health/", "/metrics")) else "no-store"


def page_response(static: Path) -> Response:
    """Return the page, or how to build it."""
    index = static / "index.html"
    if index.is_file():
        return FileResponse(index, media_type="text/html")
    return HTMLResponse(_NOT_BUILT, PageNotBuilt.status)

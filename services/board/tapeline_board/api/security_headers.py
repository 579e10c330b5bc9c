"""The built page and its files, and the headers that fence it in.

Nothing is loaded from elsewhere, nothing is inline, nobody may frame it; a browser enforces it, whatever slips into the
page. To allow something: one word in POLICY, and a reason beside it.
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
<p>The board runs and answers under <code>/api</code>, but the files of the page are not here.</p>
<p>Build them with <code>make board</code> in the checkout, as <code>make setup</code> does too; then load this again.
</html>
"""


class Fenced:
    """Puts the headers on every answer, and says how long it may be kept."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def fenced(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("Cache-Control", keeping(scope["path"], message["status"]))
            await send(message)

        await self._app(scope, receive, fenced if scope["type"] == "http" else send)


def keeping(path: str, status: int) -> str:
    """Return how long an answer may be kept: what the build named by its content for ever, nothing else unasked."""
    if path.startswith("/assets/") and status == 200:
        return "public, max-age=31536000, immutable"
    return "no-cache" if status == 200 and not path.startswith(("/api/", "/health/", "/metrics")) else "no-store"


def front(static: Path) -> Response:
    """Return the page, or how to build it."""
    index = static / "index.html"
    if index.is_file():
        return FileResponse(index, media_type="text/html")
    return HTMLResponse(_NOT_BUILT, PageNotBuilt.status)

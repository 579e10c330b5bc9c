"""Imports saved objects into a running Kibana: waits until it is available, imports, checks the response.

The import overwrites objects of the same ids, so it is idempotent, and a repeat completes a partial import. Kibana
reports conflicts and broken references in `errors`, with HTTP 200.
"""

import logging
import ssl
from pathlib import Path
from typing import Any, Final

import httpx
import tenacity
from tapeline_clients.http import is_transient

from tapeline_dashboards.errors import KibanaRefused, KibanaUnavailable
from tapeline_dashboards.settings import Settings

_LOG = logging.getLogger(__name__)
_FILE_NAME: Final = "tapeline.ndjson"
_MAX_REASON_CHARS: Final = 600


class NotReady(Exception):
    """Kibana is not available yet; the request may succeed later."""


def load(content: str, settings: Settings) -> int:
    """Import saved objects and return the number of imported objects.

    Args:
        content: NDJSON, one object a line.
        settings: address, credentials, deadline.

    Raises:
        KibanaUnavailable: Kibana was not available within the deadline.
        KibanaRefused: Kibana responded but did not import every object.
        OSError: the password or the CA file cannot be read.
    """
    retry = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type((NotReady, httpx.TransportError)),
        wait=tenacity.wait_fixed(settings.poll_s),
        stop=tenacity.stop_after_delay(settings.deadline_s),
        before_sleep=lambda state: _LOG.info("Kibana is not ready: %s", _reason(state)),
        reraise=True,
    )
    with _client(settings) as client:
        try:
            return int(retry(_import, client, content, settings))
        except (NotReady, httpx.TransportError) as error:
            raise KibanaUnavailable(settings.kibana_url, settings.deadline_s, _text(error)) from error


def _client(settings: Settings) -> httpx.Client:
    auth = None
    if settings.username is not None and settings.password_file is not None:
        auth = httpx.BasicAuth(settings.username, _password(settings.password_file))
    # An unreadable CA file raises OSError here, before any request.
    verify = True if settings.ca_file is None else ssl.create_default_context(cafile=str(settings.ca_file))
    headers = {"kbn-xsrf": "true"}
    return httpx.Client(auth=auth, verify=verify, headers=headers, timeout=settings.request_timeout_s)


def _password(path: Path) -> str:
    return path.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")


def _import(client: httpx.Client, content: str, settings: Settings) -> int:
    base = settings.kibana_url.rstrip("/")
    status = client.get(f"{base}/api/status")
    if is_transient(status.status_code):
        raise NotReady(f"status HTTP {status.status_code}")
    space = f"/s/{settings.space}" if settings.space else ""
    response = client.post(
        f"{base}{space}/api/saved_objects/_import",
        params={"overwrite": "true"},
        files={"file": (_FILE_NAME, content.encode(), "application/x-ndjson")},
    )
    if is_transient(response.status_code):
        raise NotReady(f"the import failed with HTTP {response.status_code}: {response.text[:_MAX_REASON_CHARS]}")
    return _imported_count(response, content.count("\n"))


def _imported_count(response: httpx.Response, sent: int) -> int:
    try:
        body: Any = response.json()
    except ValueError:
        body = None
    if response.status_code != httpx.codes.OK or not isinstance(body, dict):
        raise KibanaRefused(response.status_code, response.text[:_MAX_REASON_CHARS])
    if body.get("success") is not True or body.get("successCount") != sent:
        errors = "; ".join(f"{e.get('type')} {e.get('id')}: {e.get('error')}" for e in body.get("errors", []))
        reason = f"{body.get('successCount')} of {sent} imported: {errors}"
        raise KibanaRefused(response.status_code, reason[:_MAX_REASON_CHARS])
    return sent


def _reason(state: tenacity.RetryCallState) -> str:
    error = state.outcome.exception() if state.outcome else None
    return "" if error is None else _text(error)


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"

"""Brings saved objects into a running Kibana. Thin edge: waits for it, imports, reads every answer.

Everything is imported over what is there under the same ids, so a second time changes nothing and half a time is
mended by the next. Kibana says conflicts and broken references in `errors`, with HTTP 200.
"""

import logging
import ssl
from pathlib import Path
from typing import Any, Final

import httpx
import tenacity

from tapeline_dashboards.errors import KibanaAway, KibanaRefused
from tapeline_dashboards.settings import Settings

_LOG = logging.getLogger(__name__)
_FILE: Final = "tapeline.ndjson"
_LATER: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_SHOWN: Final = 600


class NotYet(Exception):
    """Kibana may take the same request later."""


def load(content: str, settings: Settings) -> int:
    """Import saved objects and return how many Kibana took.

    Args:
        content: NDJSON, one object a line.
        settings: where to, as whom, how long to try.

    Raises:
        KibanaAway: it did not answer, or not ready, within the deadline.
        KibanaRefused: it answered and did not take all of it.
        OSError: the password or the authorities cannot be read.
    """
    retry = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type((NotYet, httpx.TransportError)),
        wait=tenacity.wait_fixed(settings.poll_s),
        stop=tenacity.stop_after_delay(settings.deadline_s),
        before_sleep=lambda state: _LOG.info("Kibana is not ready: %s", _reason(state)),
        reraise=True,
    )
    with _client(settings) as client:
        try:
            return int(retry(_import, client, content, settings))
        except (NotYet, httpx.TransportError) as error:
            raise KibanaAway(settings.kibana_url, settings.deadline_s, _text(error)) from error


def _client(settings: Settings) -> httpx.Client:
    auth = None
    if settings.username is not None and settings.password_file is not None:
        auth = httpx.BasicAuth(settings.username, _password(settings.password_file))
    # A certificate that cannot be read is an OSError here, before anything is sent.
    verify = True if settings.ca_file is None else ssl.create_default_context(cafile=str(settings.ca_file))
    headers = {"kbn-xsrf": "true"}
    return httpx.Client(auth=auth, verify=verify, headers=headers, timeout=settings.request_timeout_s)


def _password(path: Path) -> str:
    return path.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")


def _import(client: httpx.Client, content: str, settings: Settings) -> int:
    base = settings.kibana_url.rstrip("/")
    status = client.get(f"{base}/api/status")
    if status.status_code in _LATER:
        raise NotYet(f"its status was HTTP {status.status_code}")
    space = f"/s/{settings.space}" if settings.space else ""
    answer = client.post(
        f"{base}{space}/api/saved_objects/_import",
        params={"overwrite": "true"},
        files={"file": (_FILE, content.encode(), "application/x-ndjson")},
    )
    if answer.status_code in _LATER:
        raise NotYet(f"the import was answered with HTTP {answer.status_code}: {answer.text[:_SHOWN]}")
    return _taken(answer, content.count("\n"))


def _taken(answer: httpx.Response, sent: int) -> int:
    try:
        body: Any = answer.json()
    except ValueError:
        body = None
    if answer.status_code != httpx.codes.OK or not isinstance(body, dict):
        raise KibanaRefused(answer.status_code, answer.text[:_SHOWN])
    if body.get("success") is not True or body.get("successCount") != sent:
        errors = "; ".join(f"{e.get('type')} {e.get('id')}: {e.get('error')}" for e in body.get("errors", []))
        raise KibanaRefused(answer.status_code, f"{body.get('successCount')} of {sent} taken: {errors}"[:_SHOWN])
    return sent


def _reason(state: tenacity.RetryCallState) -> str:
    error = state.outcome.exception() if state.outcome else None
    return "" if error is None else _text(error)


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"

"""Authenticates to a registry as its 401 challenges: with a password, or with a token obtained with it.

Source: https://distribution.github.io/distribution/spec/auth/token/ (the token protocol of every large registry)
"""

import base64
import re
from collections.abc import Generator
from pathlib import Path
from typing import Final, Self

import httpx

_PARAMETER: Final = re.compile(r'([a-z_]+)="([^"]*)"')


class Credentials(httpx.Auth):
    """Responds to the challenges of one registry; without a user it can still request an anonymous token."""

    def __init__(self, username: str | None, password: str | None) -> None:
        pair = f"{username}:{password}".encode()
        self._basic = None if username is None else f"Basic {base64.b64encode(pair).decode()}"
        self._header: str | None = None

    @classmethod
    def read(cls, username: str | None, password_file: Path | None) -> Self:
        """Return the credentials of a user whose password is in a file.

        Raises:
            OSError: the file cannot be read.
        """
        password = None if password_file is None else password_file.read_text(encoding="utf-8").rstrip("\r\n")
        return cls(username, password)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send a request with the known header, and once more when the registry challenges it."""
        if self._header is not None:
            request.headers["Authorization"] = self._header
        response = yield request
        if response.status_code != httpx.codes.UNAUTHORIZED:
            return
        kind, _, rest = response.headers.get("WWW-Authenticate", "").partition(" ")
        fields = dict(_PARAMETER.findall(rest))
        if kind.lower() == "basic" and self._basic is not None:
            self._header = self._basic
        elif kind.lower() == "bearer" and self._may_send_to(fields.get("realm", "")):
            token_response = yield self._token_request(fields)
            if token_response.status_code != httpx.codes.OK:
                return
            token_response.read()
            token = token_response.json()
            self._header = f"Bearer {token.get('token') or token['access_token']}"
        else:
            return
        request.headers["Authorization"] = self._header
        yield request

    def _may_send_to(self, realm: str) -> bool:
        return realm.startswith("https://") or (self._basic is None and realm.startswith("http://"))

    def _token_request(self, fields: dict[str, str]) -> httpx.Request:
        parameters = {name: value for name, value in fields.items() if name in ("service", "scope")}
        headers = {} if self._basic is None else {"Authorization": self._basic}
        return httpx.Request("GET", fields["realm"], params=parameters, headers=headers)

"""Challenges of a registry, over httpx's mock transport, because tokens need TLS."""

import base64
from pathlib import Path

import httpx
import pytest
from tapeline_trainer.rollout.credentials import Credentials

PAIR = "Basic " + base64.b64encode(b"trainer:secret").decode()
BEARER = (
    'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:tapeline/models:pull,push"'
)


class Site:
    """A registry that wants `wanted`, challenges with `challenge`, and a token service beside it."""

    def __init__(self, wanted: str, challenge: str, token_status: int = 200) -> None:
        self.wanted, self.challenge, self.token_status = wanted, challenge, token_status
        self.received: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        # A copy: what is sent again is the same object with another header.
        self.received.append(httpx.Request(request.method, request.url, headers=request.headers))
        if request.url.host == "auth.example":
            return httpx.Response(self.token_status, json={"token": "t-1"})
        if request.headers.get("Authorization") == self.wanted:
            return httpx.Response(200)
        return httpx.Response(401, headers={"WWW-Authenticate": self.challenge})


def get(site: Site, credentials: Credentials, times: int = 1) -> int:
    with httpx.Client(transport=httpx.MockTransport(site), auth=credentials) as client:
        return [client.get("https://registry.example/v2/").status_code for _ in range(times)][-1]


def test_password_is_sent_after_a_challenge_and_from_then_on() -> None:
    site = Site(PAIR, 'Basic realm="r"')
    assert get(site, Credentials("trainer", "secret"), times=2) == 200
    assert [request.headers.get("Authorization") for request in site.received] == [None, PAIR, PAIR]


def test_token_is_requested_with_the_password_for_the_scope_of_the_challenge() -> None:
    site = Site("Bearer t-1", BEARER)
    assert get(site, Credentials("trainer", "secret")) == 200
    token = site.received[1]
    assert token.headers["Authorization"] == PAIR
    assert dict(token.url.params) == {"service": "registry.example", "scope": "repository:tapeline/models:pull,push"}


def test_token_is_requested_without_a_user_where_there_is_none() -> None:
    site = Site("Bearer t-1", BEARER)
    assert get(site, Credentials(None, None)) == 200
    assert "Authorization" not in site.received[1].headers


def test_a_refused_token_is_the_answer_and_nothing_is_sent_with_it() -> None:
    site = Site("Bearer t-1", BEARER, token_status=403)
    assert get(site, Credentials("trainer", "wrong")) == 403
    assert [request.url.host for request in site.received] == ["registry.example", "auth.example"]


@pytest.mark.parametrize(
    "challenge",
    ["", "Negotiate", 'Bearer realm="http://auth.example/token"', 'Bearer realm="ftp://auth.example"', "Bearer"],
)
def test_password_is_not_sent_where_it_could_be_read(challenge: str) -> None:
    site = Site("Bearer t-1", challenge)
    assert get(site, Credentials("trainer", "secret")) == 401
    assert len(site.received) == 1


def test_refused_password_is_not_sent_a_third_time() -> None:
    site = Site("never", 'Basic realm="r"')
    assert get(site, Credentials("trainer", "wrong")) == 401
    assert len(site.received) == 2


def test_line_end_of_the_file_is_no_part_of_the_password(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    site = Site(PAIR, 'Basic realm="r"')
    assert get(site, Credentials.read("trainer", tmp_path / "password")) == 200

"""The one policy of retries."""

import pytest
from tapeline_clients import http


class Passing(Exception):
    """An error that passes by itself."""


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_responses_that_pass_by_themselves_are_transient(status: int) -> None:
    assert http.is_transient(status)


@pytest.mark.parametrize("status", [200, 301, 400, 401, 403, 404, 409, 413, 422, 501, 505])
def test_responses_that_say_the_same_again_are_not(status: int) -> None:
    assert not http.is_transient(status)


def attempts(error: Exception, deadline_s: float) -> tuple[int, type[BaseException] | None]:
    """Return how often a request was made that fails twice, and what was raised in the end."""
    made = 0

    def request() -> None:
        nonlocal made
        made += 1
        if made < 3:
            raise error

    retry = http.retrying(lambda one: isinstance(one, Passing), deadline_s, first_pause_s=0.001, longest_pause_s=0.002)
    try:
        retry(request)
    except (Passing, KeyError) as raised:
        return made, type(raised)
    return made, None


def test_a_transient_error_is_repeated_until_it_has_passed() -> None:
    assert attempts(Passing(), 60) == (3, None)


def test_another_error_is_raised_as_it_is_at_once() -> None:
    assert attempts(KeyError("x"), 60) == (1, KeyError)


def test_no_attempt_begins_after_the_deadline() -> None:
    assert attempts(Passing(), 0) == (1, Passing)

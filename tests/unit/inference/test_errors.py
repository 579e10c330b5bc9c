import pytest
from tapeline_inference import errors


def leaves() -> list[errors.ApiError]:
    return [
        errors.Malformed("no valid JSON"),
        errors.BodyTooSlow(10.0),
        errors.FeatureMismatch("a" * 64, "1"),
        errors.BodyTooLarge(1_024),
        errors.WrongContentType(("a/b", "c/d")),
        errors.InvalidRows("0 rows"),
        errors.ModelUnavailable("nothing has been promoted yet"),
        errors.ModelExpired(7_300_000),
        errors.Overloaded(32),
    ]


def test_every_error_has_a_status_a_code_and_a_message_of_its_own() -> None:
    instances = leaves()
    assert {type(error) for error in instances} == set(errors.ApiError.__subclasses__())
    assert len({error.code for error in instances}) == len(instances)
    assert all(str(error) and 400 <= error.status < 600 for error in instances)


@pytest.mark.parametrize("error", leaves(), ids=lambda error: error.code)
def test_only_what_time_can_heal_is_retryable_and_says_when(error: errors.ApiError) -> None:
    assert error.is_retryable == (error.status == 503)
    assert ("Retry-After" in error.headers) == error.is_retryable


def test_an_expired_model_says_for_how_long() -> None:
    assert "expired 2 h ago" in str(errors.ModelExpired(7_300_000))

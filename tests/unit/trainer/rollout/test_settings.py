from pathlib import Path

import pytest
from pydantic import ValidationError
from tapeline_trainer.settings import Settings


def test_roll_out_is_off_unless_a_registry_is_named() -> None:
    assert Settings().registry is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("registry", "http://registry:5000"),
        ("registry", "registry:5000/tapeline"),
        ("registry_reference", "user@registry"),
        ("repository", "/tapeline/models"),
        ("repository", "tapeline/../models"),
        ("namespace", "Tapeline"),
        ("deployment", "../secrets"),
        ("inference_url", "inference:8000"),
        ("inference_url", "http://inference:8000/predict"),
        ("watch_error_share", 1.0),
        ("poll_s", 0),
    ],
)
def test_setting_that_cannot_work_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValidationError, match=name):
        Settings(**{name: value})


def test_password_needs_a_user_and_a_user_a_password_and_both_a_protected_way() -> None:
    both = {"registry_username": "u", "registry_password_file": Path("p")}
    assert Settings(**both).registry_username == "u"
    for alone in both:
        with pytest.raises(ValidationError, match="both or neither"):
            Settings(**{alone: both[alone]})
    with pytest.raises(ValidationError, match="in the clear"):
        Settings(**both, registry_insecure=True)

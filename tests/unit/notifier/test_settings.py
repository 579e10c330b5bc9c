import pytest
from pydantic import ValidationError
from tapeline.service.connection import InvalidConnection
from tapeline_notifier.settings import Settings


def test_two_paths_are_all_it_must_be_told(monkeypatch):
    monkeypatch.setenv("NOTIFIER_TARGETS", "/etc/targets.yaml")
    monkeypatch.setenv("NOTIFIER_STATE", "/state")
    assert not Settings().dry_run


@pytest.mark.parametrize("absent", ["NOTIFIER_TARGETS", "NOTIFIER_STATE"])
def test_without_one_of_them_it_does_not_start(monkeypatch, absent):
    monkeypatch.setenv("NOTIFIER_TARGETS", "/etc/targets.yaml")
    monkeypatch.setenv("NOTIFIER_STATE", "/state")
    monkeypatch.delenv(absent)
    with pytest.raises(ValidationError):
        Settings()


def test_kafkas_security_is_said_in_its_own_words():
    with pytest.raises(InvalidConnection, match="NOTIFIER_KAFKA_USERNAME"):
        Settings(targets="t", state="s", kafka_security_protocol="SASL_SSL")

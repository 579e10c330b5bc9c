import pytest
from pydantic import ValidationError
from tapeline.service.connection import InvalidConnection
from tapeline_notifier.settings import Settings


def test_only_two_paths_are_required(monkeypatch):
    monkeypatch.setenv("NOTIFIER_TARGETS", "/etc/targets.yaml")
    monkeypatch.setenv("NOTIFIER_STATE", "/state")
    assert not Settings().dry_run


@pytest.mark.parametrize("absent", ["NOTIFIER_TARGETS", "NOTIFIER_STATE"])
def test_a_missing_path_prevents_the_start(monkeypatch, absent):
    monkeypatch.setenv("NOTIFIER_TARGETS", "/etc/targets.yaml")
    monkeypatch.setenv("NOTIFIER_STATE", "/state")
    monkeypatch.delenv(absent)
    with pytest.raises(ValidationError):
        Settings()


def test_kafka_security_settings_are_validated():
    with pytest.raises(InvalidConnection, match="NOTIFIER_KAFKA_USERNAME"):
        Settings(targets="t", state="s", kafka_security_protocol="SASL_SSL")

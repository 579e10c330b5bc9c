import pytest
from pydantic import ValidationError
from tapeline.service.connection import InvalidConnection
from tapeline_board.settings import Settings


def test_only_the_address_of_elasticsearch_is_required(monkeypatch):
    with pytest.raises(ValidationError, match="elasticsearch_url"):
        Settings()
    monkeypatch.setenv("BOARD_ELASTICSEARCH_URL", "http://127.0.0.1:9200")
    settings = Settings()
    assert (settings.host, settings.inference_url, settings.static.name) == ("127.0.0.1", None, "static")


def test_a_password_requires_tls():
    with pytest.raises(InvalidConnection, match="BOARD_ELASTICSEARCH_USERNAME"):
        Settings(elasticsearch_url="http://h:9200", elasticsearch_username="u", elasticsearch_password_file="/p")


@pytest.mark.parametrize("wrong", [{"poll_s": 0}, {"clients_max": 0}, {"pollers_max": 7}, {"port": 70_000}])
def test_an_impossible_number_is_invalid(wrong):
    with pytest.raises(ValidationError):
        Settings(elasticsearch_url="http://h:9200", **wrong)

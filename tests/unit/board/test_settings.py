import pytest
from pydantic import ValidationError
from tapeline.service.connection import InvalidConnection
from tapeline.service.renamed_settings import RENAMED
from tapeline_board import __main__
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


@pytest.mark.parametrize(("old", "new"), [pair for pair in RENAMED.items() if pair[0].startswith("BOARD_")])
def test_a_setting_under_its_old_name_prevents_the_start_in_one_line(monkeypatch, capsys, old, new):
    assert new.removeprefix("BOARD_").lower() in Settings.model_fields
    monkeypatch.setenv("BOARD_ELASTICSEARCH_URL", "http://127.0.0.1:9200")
    monkeypatch.setenv(old, "8")
    assert __main__.main() == 1
    assert capsys.readouterr().err == f"{old} is set; the setting is called {new} now: rename the variable\n"

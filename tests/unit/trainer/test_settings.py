import json
from pathlib import Path
from typing import Any

import pytest
from tapeline.service import renamed_settings
from tapeline.service.connection import InvalidConnection
from tapeline_trainer.__main__ import main
from tapeline_trainer.data.elasticsearch import Store
from tapeline_trainer.settings import Settings


def test_user_is_taken_from_the_environment_and_the_password_from_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("canary\n")
    monkeypatch.setenv("TRAINER_ELASTICSEARCH_URL", "https://es:9200")
    monkeypatch.setenv("TRAINER_ELASTICSEARCH_USERNAME", "tapeline-es-trainer")
    monkeypatch.setenv("TRAINER_ELASTICSEARCH_PASSWORD_FILE", str(tmp_path / "password"))
    settings = Settings()
    assert settings.client_options() == {"basic_auth": ("tapeline-es-trainer", "canary")}
    assert "canary" not in repr(settings)


def test_missing_password_is_named_before_anything_is_sent(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    address = "https://127.0.0.1:9"
    settings = Settings(elasticsearch_url=address, elasticsearch_username="me", elasticsearch_password_file=gone)
    with pytest.raises(InvalidConnection, match=f"TRAINER_ELASTICSEARCH_PASSWORD_FILE was {gone}"):
        Store(address, settings)


def test_run_with_settings_that_do_not_fit_ends_with_1_and_one_line_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("TRAINER_ELASTICSEARCH_URL", "http://es:9200")
    monkeypatch.setenv("TRAINER_ELASTICSEARCH_CA_FILE", "/ca.crt")
    assert main([]) == 1
    last_log = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (
        last_log["error"] == "InvalidConnection" and "TRAINER_ELASTICSEARCH_CA_FILE was /ca.crt" in last_log["message"]
    )


def test_a_setting_by_its_old_name_ends_the_run_with_1_and_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(renamed_settings, "RENAMED", {"TRAINER_FORMER": "TRAINER_MODELS"})
    monkeypatch.setenv("TRAINER_FORMER", "x")
    assert main([]) == 1
    last_log = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last_log["error"] == "RenamedSetting" and "TRAINER_MODELS" in last_log["message"]

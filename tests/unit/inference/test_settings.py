from pathlib import Path

import pytest
from pydantic import ValidationError
from tapeline.service import renamed_settings
from tapeline_inference.__main__ import main
from tapeline_inference.settings import Settings


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INFERENCE_MODELS", str(tmp_path))
    monkeypatch.setenv("INFERENCE_JSON_ROWS_MAX", "7")
    settings = Settings()
    assert (settings.models, settings.json_rows_max, settings.docs) == (tmp_path, 7, False)


def test_the_models_have_no_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INFERENCE_MODELS", raising=False)
    with pytest.raises(ValidationError, match="models"):
        Settings()


def test_a_setting_by_its_old_name_ends_the_start_with_1_and_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(renamed_settings, "RENAMED", {"INFERENCE_FORMER": "INFERENCE_MODELS"})
    monkeypatch.setenv("INFERENCE_MODELS", str(tmp_path))
    monkeypatch.setenv("INFERENCE_FORMER", "x")
    assert main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "INFERENCE_FORMER" in line and "INFERENCE_MODELS" in line

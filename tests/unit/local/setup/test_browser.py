import json
from pathlib import Path

import pytest
from tapeline_local.errors import SetupError
from tapeline_local.setup import browser


def test_the_browser_of_chromium_has_precedence(monkeypatch):
    monkeypatch.setenv("CHROMIUM", "/opt/chrome")
    assert browser.find() == browser.Browser(Path("/opt/chrome"), {})


def test_a_fetched_browser_gets_its_own_libraries_and_fonts(monkeypatch, tmp_path):
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr(browser, "HOME", tmp_path)
    (tmp_path / "package.digest").write_text("x")
    found = browser.find()
    assert found is not None and found.program == tmp_path / "chromium"
    assert all(str(tmp_path) in value for value in found.env.values()) and len(found.env) == 2


def test_without_any_there_is_none(monkeypatch, tmp_path):
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(browser, "HOME", tmp_path)
    assert browser.find() is None


def test_an_unsupported_machine_is_refused_with_the_way_out(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    with pytest.raises(SetupError, match="CHROMIUM"):
        browser.fetch()


def test_the_version_is_one_not_a_range():
    wanted = json.loads((browser.PACKAGE / "package.json").read_text())["dependencies"]
    assert all(version[0].isdigit() for version in wanted.values())

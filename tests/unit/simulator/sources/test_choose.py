"""The settings select a source, or an error names the missing setting."""

import pytest
from tapeline_simulator.errors import CaptureMissing, CaptureRefused
from tapeline_simulator.settings import Settings
from tapeline_simulator.sources import choose
from tapeline_simulator.sources.market import SyntheticMarket


def test_market_is_made_without_a_capture():
    assert isinstance(choose.create_source(Settings(source="market")), SyntheticMarket)


def test_replay_without_a_capture_says_what_to_set():
    with pytest.raises(CaptureMissing, match="SIMULATOR_CAPTURE was 'None'"):
        choose.create_source(Settings(source="replay"))


def test_capture_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CaptureMissing, match=r"gone\.jsonl"):
        choose.create_source(Settings(source="replay", capture=tmp_path / "gone.jsonl"))


def test_capture_of_an_unknown_kind_is_refused(tmp_path):
    path = tmp_path / "trades.csv"
    path.touch()
    with pytest.raises(CaptureRefused, match=r"trades\.csv"):
        choose.create_source(Settings(source="replay", capture=path))


def test_inverse_is_listed_where_the_settings_ask_for_it():
    symbols = {each.symbol for each in choose.create_source(Settings(with_inverse=True)).instruments}
    assert {"BTCUSD", "ETHUSD", "BTCUSDT"} <= symbols
    assert "BTCUSD" not in {each.symbol for each in choose.create_source(Settings()).instruments}


def test_environment_variables_have_the_prefix(monkeypatch):
    monkeypatch.setenv("SIMULATOR_RATE_PER_S", "5000")
    assert Settings().rate_per_s == 5000

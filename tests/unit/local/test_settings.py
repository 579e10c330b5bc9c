from pathlib import Path

from tapeline_local.settings import UpSettings


def test_what_a_person_says_becomes_the_options_of_the_stack(monkeypatch):
    said = {"EXCHANGE": "bybit", "CAPTURE": "/a.parquet", "SPEED": "10", "SYMBOLS": "BTCUSDT, ETHUSDT,"}
    said |= {"PRODUCERS": "3", "NOTIFIER_TARGETS": "/t.yaml"}
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    options = UpSettings().options()
    assert (options.exchange, options.capture, options.speed) == ("bybit", Path("/a.parquet"), 10)
    assert (options.producers, options.notifier_targets) == (3, Path("/t.yaml"))
    assert options.symbols == ("BTCUSDT", "ETHUSDT")


def test_an_empty_variable_is_as_good_as_none(monkeypatch):
    monkeypatch.setenv("CAPTURE", "")
    assert UpSettings().options().capture is None

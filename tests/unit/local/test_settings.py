from pathlib import Path

from tapeline_local.settings import UpSettings


def test_variables_become_options_of_the_stack(monkeypatch):
    variables = {"EXCHANGE": "bybit", "CAPTURE": "/a.parquet", "SPEED": "10", "SYMBOLS": "BTCUSDT, ETHUSDT,"}
    variables |= {"PRODUCERS": "3", "NOTIFIER_TARGETS": "/t.yaml", "FAST_JIT": "1"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    options = UpSettings().options()
    assert (options.exchange, options.capture, options.speed) == ("bybit", Path("/a.parquet"), 10)
    assert (options.producers, options.notifier_targets) == (3, Path("/t.yaml"))
    assert options.fast_jit
    assert options.symbols == ("BTCUSDT", "ETHUSDT")


def test_an_empty_variable_counts_as_unset(monkeypatch):
    monkeypatch.setenv("CAPTURE", "")
    assert UpSettings().options().capture is None

import os

from tapeline_spark.trades import snapshot
from tapeline_spark.trades.lookback import LookbackState

from unit.spark.trade_factories import record


def filled() -> LookbackState:
    state = LookbackState()
    state.admit([record(symbol=symbol, price="0.00012") for symbol in ("AUSDT", "BUSDT", "AUSDT")])
    state.next_offset = {0: 17, 1: 3}
    return state


def test_a_saved_state_comes_back_equal(tmp_path):
    state = filled()
    snapshot.save(state, tmp_path / "lookback" / "driver.msgpack")
    loaded = snapshot.load(tmp_path / "lookback" / "driver.msgpack")
    assert loaded.lookbacks == state.lookbacks
    assert loaded.next_offset == state.next_offset


def test_a_truncated_snapshot_is_no_snapshot(tmp_path):
    path = tmp_path / "driver.msgpack"
    snapshot.save(filled(), path)
    os.truncate(path, path.stat().st_size // 2)
    assert snapshot.load(path) is None


def test_a_snapshot_of_other_features_is_no_snapshot(tmp_path, monkeypatch):
    path = tmp_path / "driver.msgpack"
    snapshot.save(filled(), path)
    monkeypatch.setattr("tapeline.model.features.VERSION", "another")
    assert snapshot.load(path) is None


def test_a_missing_snapshot_is_no_snapshot(tmp_path):
    assert snapshot.load(tmp_path / "none") is None

import os

import msgspec
import pytest
from tapeline_spark.trades import snapshot
from tapeline_spark.trades.lookback import LookbackState

from unit.spark.trade_factories import record


def filled() -> LookbackState:
    state = LookbackState()
    state.admit([record(symbol=symbol, price="0.00012") for symbol in ("AUSDT", "BUSDT", "AUSDT")])
    state.admit([record(venue=venue, market_type=kind) for venue in ("bybit", "okx") for kind in ("spot", "linear")])
    state.next_offset = {("bybit-trades", 0): 17, ("okx-trades", 0): 3, ("okx-trades", 1): 4}
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


def changed(path, **fields):
    stored = msgspec.msgpack.decode(path.read_bytes())
    path.write_bytes(msgspec.msgpack.encode({**stored, **fields}))


@pytest.mark.parametrize("fields", [{"format": 1}, {"format": 3}, {"format": 3, "lookbacks": "of another shape"}])
def test_a_snapshot_of_another_format_is_no_snapshot(tmp_path, fields):
    path = tmp_path / "driver.msgpack"
    snapshot.save(filled(), path)
    changed(path, **fields)
    assert snapshot.load(path) is None


def test_a_snapshot_from_before_formats_had_numbers_is_no_snapshot(tmp_path):
    path = tmp_path / "driver.msgpack"
    path.write_bytes(msgspec.msgpack.encode({"feature_hash": "x", "next_offset": {0: 17}, "lookbacks": []}))
    assert snapshot.load(path) is None


def test_a_snapshot_with_an_instrument_that_is_none_is_no_snapshot(tmp_path):
    path = tmp_path / "driver.msgpack"
    snapshot.save(filled(), path)
    (first, *_) = msgspec.msgpack.decode(path.read_bytes())["lookbacks"]
    changed(path, lookbacks=[{**first, "instrument": "spot|BTCUSDT"}])
    assert snapshot.load(path) is None

import os
from pathlib import Path

import pytest
from tapeline_spark.candles import snapshot
from tapeline_spark.candles.state import CandleState

from unit.spark.candles.log_factories import LATE_MINUTES, QUIET_MINUTES, Published, fresh, market, process_batch


@pytest.fixture
def state() -> CandleState:
    filled = fresh()
    process_batch(filled, market(1, 60, 20), Published())
    filled.next_offset["trade-gaps", 0] = 17
    return filled


def test_a_saved_state_comes_back_with_the_states_of_its_listeners(state: CandleState, tmp_path: Path) -> None:
    path = tmp_path / "minutes" / "candles.msgpack"
    snapshot.save(state, {"scores": b"\x00state"}, path)
    loaded = snapshot.load(path, LATE_MINUTES, QUIET_MINUTES)
    assert loaded
    for name in ("next_offset", "complete_from", "newest_ms", "symbols"):
        assert getattr(loaded[0], name) == getattr(state, name), name
    assert loaded[1] == {"scores": b"\x00state"}


@pytest.mark.parametrize("damage", ["missing", "truncated", "of another format"])
def test_an_unreadable_state_is_none(state: CandleState, tmp_path: Path, damage: str, monkeypatch) -> None:
    path = tmp_path / "candles.msgpack"
    if damage != "missing":
        snapshot.save(state, {}, path)
    if damage == "truncated":
        os.truncate(path, path.stat().st_size // 2)
    if damage == "of another format":
        monkeypatch.setattr(snapshot, "_FORMAT", 999)
    assert snapshot.load(path, LATE_MINUTES, QUIET_MINUTES) is None


def test_a_longer_horizon_needs_more_than_a_shorter_one_has_kept(state: CandleState, tmp_path: Path) -> None:
    path = tmp_path / "candles.msgpack"
    snapshot.save(state, {}, path)
    assert snapshot.load(path, LATE_MINUTES + 1, QUIET_MINUTES) is None
    assert snapshot.load(path, LATE_MINUTES - 1, QUIET_MINUTES)

import os
from pathlib import Path

import pytest
from tapeline_spark.candles import snapshot
from tapeline_spark.candles.state import CandleState

from unit.spark.candles.log_factories import LATE_MINUTES, QUIET_MINUTES, Shown, carry, fresh, market


@pytest.fixture
def state() -> CandleState:
    filled = fresh()
    carry(filled, market(1, 60, 20), Shown())
    filled.next_offset["trade-gaps", 0] = 17
    return filled


def test_what_is_saved_comes_back_with_the_states_of_those_who_follow(state: CandleState, tmp_path: Path) -> None:
    path = tmp_path / "minutes" / "candles.msgpack"
    snapshot.save(state, {"scores": b"\x00state"}, path)
    loaded = snapshot.load(path, LATE_MINUTES, QUIET_MINUTES)
    assert loaded
    for name in ("next_offset", "complete_from", "clock", "symbols"):
        assert getattr(loaded[0], name) == getattr(state, name), name
    assert loaded[1] == {"scores": b"\x00state"}


@pytest.mark.parametrize("harm", ["missing", "truncated", "of another format"])
def test_a_state_that_cannot_be_read_is_none(state: CandleState, tmp_path: Path, harm: str, monkeypatch) -> None:
    path = tmp_path / "candles.msgpack"
    if harm != "missing":
        snapshot.save(state, {}, path)
    if harm == "truncated":
        os.truncate(path, path.stat().st_size // 2)
    if harm == "of another format":
        monkeypatch.setattr(snapshot, "_FORMAT", 999)
    assert snapshot.load(path, LATE_MINUTES, QUIET_MINUTES) is None


def test_a_longer_horizon_needs_more_than_a_shorter_one_has_kept(state: CandleState, tmp_path: Path) -> None:
    path = tmp_path / "candles.msgpack"
    snapshot.save(state, {}, path)
    assert snapshot.load(path, LATE_MINUTES + 1, QUIET_MINUTES) is None
    assert snapshot.load(path, LATE_MINUTES - 1, QUIET_MINUTES)

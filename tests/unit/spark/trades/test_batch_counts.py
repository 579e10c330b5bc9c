import pytest
from tapeline_spark.errors import BatchCountMismatch
from tapeline_spark.trades.batch_counts import BatchCounts


def matching():
    counts = BatchCounts(read=10, unreadable=1, duplicate=2, created=4, conflict=2, refused=1)
    counts.by_state.update({"ok": 5, "late": 2})
    return counts


def test_a_batch_whose_records_are_all_accounted_for_matches():
    matching().check()


@pytest.mark.parametrize("name", ["read", "unreadable", "duplicate", "created", "conflict", "refused"])
def test_one_record_too_many_in_any_count_is_a_mismatch(name):
    counts = matching()
    setattr(counts, name, getattr(counts, name) + 1)
    with pytest.raises(BatchCountMismatch):
        counts.check()


def test_a_trade_without_a_state_is_a_mismatch():
    counts = matching()
    counts.by_state["ok"] -= 1
    with pytest.raises(BatchCountMismatch, match="with a state 6"):
        counts.check()


def test_partitions_add_up():
    total = BatchCounts()
    for _ in range(2):
        total.add(matching())
    assert total.as_dict()["read"] == 20
    assert total.by_state["ok"] == 10


def test_a_batch_begins_with_nothing_counted():
    counts = BatchCounts().as_dict()
    assert counts.pop("by_state") == {}
    assert set(counts.values()) == {0}

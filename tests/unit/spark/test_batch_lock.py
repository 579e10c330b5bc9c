"""The gate before batches: who passes, who waits, who is turned away."""

import threading

import pytest
from support import eventually
from tapeline_spark.batch_lock import Gate, ShutGate


def test_a_batch_passes_an_open_gate():
    passed = []
    Gate().guarding(lambda batch, number: passed.append((batch, number)))("rows", 7)
    assert passed == [("rows", 7)]


def test_a_batch_after_the_end_is_turned_away_loudly_and_its_work_is_not_done():
    gate, passed = Gate(), []
    with gate.shut() as ended:
        assert ended
        with pytest.raises(ShutGate, match="batch 8 began after"):
            gate.guarding(lambda batch, number: passed.append(number))("rows", 8)
    assert passed == []


def test_shutting_waits_for_the_batch_under_way():
    gate, order, inside, go_on = Gate(), [], threading.Event(), threading.Event()

    def work(batch, number):
        inside.set()
        go_on.wait(10)
        order.append("batch")

    running = threading.Thread(target=gate.guarding(work), args=("rows", 1))
    running.start()
    assert inside.wait(10)

    def stop():
        with gate.shut() as ended:
            order.append(f"shut {ended}")

    stopping = threading.Thread(target=stop)
    stopping.start()
    go_on.set()
    stopping.join(10)
    running.join(10)
    assert order == ["batch", "shut True"]


def test_a_batch_that_does_not_end_is_not_waited_for_for_ever():
    gate, inside, go_on = Gate(), threading.Event(), threading.Event()

    def work(batch, number):
        inside.set()
        go_on.wait(10)

    running = threading.Thread(target=gate.guarding(work), args=("rows", 1))
    running.start()
    assert inside.wait(10)
    with gate.shut(patience_s=0.01) as ended:
        assert not ended
    go_on.set()
    eventually(lambda: not running.is_alive(), "the batch has ended")


def test_work_that_fails_leaves_the_gate_free():
    gate = Gate()

    def work(batch, number):
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        gate.guarding(work)("rows", 1)
    with gate.shut(patience_s=0.01) as ended:
        assert ended

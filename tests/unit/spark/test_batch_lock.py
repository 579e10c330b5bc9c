"""The batch lock: which batch runs, which waits, which is refused."""

import threading

import pytest
from support import eventually
from tapeline_spark.batch_lock import BatchLock, QueryStopping


def test_a_batch_runs_under_an_unlocked_lock():
    passed = []
    BatchLock().wrap(lambda batch, number: passed.append((batch, number)))("rows", 7)
    assert passed == [("rows", 7)]


def test_a_batch_after_the_stop_is_refused_with_an_error_and_not_run():
    lock, passed = BatchLock(), []
    with lock.stop() as ended:
        assert ended
        with pytest.raises(QueryStopping, match="batch 8 began after"):
            lock.wrap(lambda batch, number: passed.append(number))("rows", 8)
    assert passed == []


def test_stopping_waits_for_the_running_batch():
    lock, order, inside, go_on = BatchLock(), [], threading.Event(), threading.Event()

    def work(batch, number):
        inside.set()
        go_on.wait(10)
        order.append("batch")

    running = threading.Thread(target=lock.wrap(work), args=("rows", 1))
    running.start()
    assert inside.wait(10)

    def stop():
        with lock.stop() as ended:
            order.append(f"stopped {ended}")

    stopping = threading.Thread(target=stop)
    stopping.start()
    go_on.set()
    stopping.join(10)
    running.join(10)
    assert order == ["batch", "stopped True"]


def test_a_batch_that_does_not_end_is_not_waited_for_for_ever():
    lock, inside, go_on = BatchLock(), threading.Event(), threading.Event()

    def work(batch, number):
        inside.set()
        go_on.wait(10)

    running = threading.Thread(target=lock.wrap(work), args=("rows", 1))
    running.start()
    assert inside.wait(10)
    with lock.stop(timeout_s=0.01) as ended:
        assert not ended
    go_on.set()
    eventually(lambda: not running.is_alive(), "the batch has ended")


def test_a_failed_batch_releases_the_lock():
    lock = BatchLock()

    def work(batch, number):
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        lock.wrap(work)("rows", 1)
    with lock.stop(timeout_s=0.01) as ended:
        assert ended

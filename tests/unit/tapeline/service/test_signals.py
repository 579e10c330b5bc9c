"""Signals reach an event wherever the main thread is."""

import signal
import threading

import pytest
from tapeline.service.signals import set_by_signals


@pytest.fixture
def event():
    before = signal.getsignal(signal.SIGUSR1)
    stop = threading.Event()
    set_by_signals(stop, signal.SIGUSR1)
    yield stop
    signal.signal(signal.SIGUSR1, before)


def test_a_signal_sets_the_event(event):
    signal.raise_signal(signal.SIGUSR1)
    assert event.wait(30)


@pytest.mark.timeout(60)
def test_a_signal_amid_a_wait_for_the_event_sets_it_and_stops_nobody(event):
    """As in `wait`, which takes the event's condition before it sleeps: the handler runs while that is held."""
    with event._cond:
        signal.raise_signal(signal.SIGUSR1)
    assert event.wait(30)

"""Signal handlers for a graceful shutdown."""

import signal
import threading
from collections.abc import Callable
from types import FrameType

Handler = Callable[[int, FrameType | None], None]


def event_setter(event: threading.Event) -> Handler:
    """Return a handler of signals that sets an event, from a thread of its own.

    A handler runs between any two instructions of the main thread. Where that is within `event.wait`, the main thread
    holds the lock that `event.set` waits for, and would wait for itself.
    """
    return lambda *_: threading.Thread(target=event.set, name="signal").start()


def set_by_signals(event: threading.Event, *numbers: signal.Signals) -> None:
    """Replace the handlers of some signals by one that sets an event. In the main thread only."""
    for number in numbers:
        signal.signal(number, event_setter(event))

"""Sends trade frames to subscribers; every outgoing trade frame passes here.

Acknowledgements and pongs do not pass here: the real exchange sends them even while trades stall.
To inject faults: implement FrameSender and pass it to Exchange.
"""

from typing import Protocol

from tapeline_simulator.bybit.frames import Frame


class Subscriber(Protocol):
    """A receiver of frames, such as a socket."""

    def push(self, payload: bytes) -> None:
        """Queue a message; never blocks, never raises."""


class FrameSender(Protocol):
    """Sends a frame to one subscriber: now, later, twice or never."""

    def send(self, frame: Frame, subscriber: Subscriber) -> None:
        """Send a frame whose trades are already in the ledger."""


class DirectSender:
    """Sends every frame at once and unchanged."""

    def send(self, frame: Frame, subscriber: Subscriber) -> None:
        """Push the payload to the subscriber."""
        subscriber.push(frame.payload)

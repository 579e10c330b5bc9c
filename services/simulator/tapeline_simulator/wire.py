"""The one place that every outgoing trade frame passes.

Acknowledgements and pongs do not: on the real exchange they keep coming while data is silent.
To make the exchange misbehave: implement Wire and hand it to Exchange.
"""

from typing import Protocol

from tapeline_simulator.bybit.frames import Frame


class Subscriber(Protocol):
    """Something that takes frames, such as a socket."""

    def push(self, payload: bytes) -> None:
        """Take a message; never waits, never raises."""


class Wire(Protocol):
    """Carries a frame to one subscriber: now, later, twice or never."""

    def carry(self, frame: Frame, subscriber: Subscriber) -> None:
        """Take a frame that is in the ledger already."""


class DirectWire:
    """Carries every frame at once and unchanged."""

    def carry(self, frame: Frame, subscriber: Subscriber) -> None:
        """Hand the frame over."""
        subscriber.push(frame.payload)

"""Where trades come from: the protocol that the market and the replays share.

To add a source: implement Source, and choose it in sources.py.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from tapeline_simulator.bybit.frames import Frame, Key
from tapeline_simulator.bybit.instruments import Instrument

WAITING: Final = "waiting"
RUNNING: Final = "running"
ENDED: Final = "ended"

Row = dict[str, Any]
"""One object of the ledger."""


class Source(Protocol):
    """Makes frames; knows nothing of sockets and takes the time from its caller.

    All times are ms UTC and never go back from call to call.
    """

    @property
    def name(self) -> str:
        """Return what the status calls it."""

    @property
    def state(self) -> str:
        """Return WAITING, RUNNING or ENDED."""

    @property
    def instruments(self) -> Mapping[Key, Instrument]:
        """Return what can be subscribed to, in the order of listing."""

    def listen(self, key: Key, now_ms: int) -> None:
        """Take note of a subscription; only a symbol's first one has an effect."""

    def advance(self, now_ms: int) -> list[Frame]:
        """Return the frames that became due since the last call, in the order of sending."""

    def skip(self, milliseconds: int) -> None:
        """Put everything not yet made off: the clock went on while the market stood still."""

    def resume(self, last: Row, tails: Mapping[Key, Sequence[Row]]) -> None:
        """Go on behind a ledger, before anything else is called.

        Args:
            last: the last row of the ledger.
            tails: the last rows of each symbol, oldest first.

        Raises:
            ForeignLedger: the ledger is not one of this source.
        """

    def is_rpi(self, key: Key, trade_id: str) -> bool | None:
        """Return `RPI` of a trade in the ledger, which does not say."""

    def is_block_trade(self, key: Key, trade_id: str) -> bool:
        """Return `BT` of a trade in the ledger, which does not say."""

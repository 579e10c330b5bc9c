"""Protocol of trade sources: the synthetic market and replays.

To add a source: implement TradeSource, and create it in choose.py.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from tapeline.instrument import Instrument

from tapeline_simulator.bybit.frames import Frame
from tapeline_simulator.bybit.instruments import InstrumentInfo

WAITING: Final = "waiting"
RUNNING: Final = "running"
ENDED: Final = "ended"

Row = dict[str, Any]
"""One row of the ledger."""


class TradeSource(Protocol):
    """Produces frames. Uses no socket; the caller passes the time.

    All times are ms UTC and never decrease between calls.
    """

    @property
    def name(self) -> str:
        """Return the name in the status."""

    @property
    def state(self) -> str:
        """Return WAITING, RUNNING or ENDED."""

    @property
    def instruments(self) -> Mapping[Instrument, InstrumentInfo]:
        """Return the instruments, in the order of listing."""

    def on_subscribe(self, instrument: Instrument, now_ms: int) -> None:
        """Handle the first subscription of a symbol; later ones have no effect."""

    def advance(self, now_ms: int) -> list[Frame]:
        """Return the frames due since the last call, in the order of sending."""

    def skip(self, milliseconds: int) -> None:
        """Postpone all future frames, after a pause or stall."""

    def resume(self, last: Row, recent_rows: Mapping[Instrument, Sequence[Row]]) -> None:
        """Continue after a ledger; must be the first call.

        Args:
            last: the last row of the ledger.
            recent_rows: the last rows of each symbol, oldest first.

        Raises:
            ForeignLedger: another source wrote the ledger.
        """

    def is_rpi(self, instrument: Instrument, trade_id: str) -> bool | None:
        """Return `RPI` of a trade in the ledger; the ledger does not store it."""

    def is_block_trade(self, instrument: Instrument, trade_id: str) -> bool:
        """Return `BT` of a trade in the ledger; the ledger does not store it."""

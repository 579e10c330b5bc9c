"""Trade source of a replay: sends a recording in its order and at its pace.

Pure: the caller passes the time; capture.py and normalised.py read the recording. Trade times stay as
recorded.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import orjson
from tapeline.instrument import Instrument, instrument_of

from tapeline_simulator.bybit.frames import BybitTrade, Frame, encode
from tapeline_simulator.bybit.instruments import InstrumentInfo, from_trades
from tapeline_simulator.errors import ForeignLedger
from tapeline_simulator.sources.source import ENDED, RUNNING, WAITING, Row

MAX_TRADES_PER_CALL: Final = 5_000
"""Maximum trades of one call, so that a tick stays short at any speed."""


class RecordedFrame(NamedTuple):
    """One frame of a recording.

    Attributes:
        offset_ms: receive time, since the start of the recording.
        instrument: whose trades.
        trades: its trades.
        payload: its JSON text as recorded, or None if it must be encoded.
        delay_ms: difference of `ts` and `T`, if it must be encoded.
    """

    offset_ms: float
    instrument: Instrument
    trades: Sequence[BybitTrade]
    payload: bytes | None
    delay_ms: int = 1

    def frame(self) -> Frame:
        """Return the frame to send."""
        payload = self.payload or encode(self.instrument, self.trades, self.trades[0].traded_at + self.delay_ms)
        return Frame(self.instrument, self.trades, payload)

    def without(self, count: int) -> "RecordedFrame":
        """Return the frame without its first trades."""
        if self.payload is None:
            return self._replace(trades=self.trades[count:])
        frame = orjson.loads(self.payload)
        frame["data"] = frame["data"][count:]
        return self._replace(trades=self.trades[count:], payload=orjson.dumps(frame))


class Recording(NamedTuple):
    """The content of a file.

    Attributes:
        items: its frames, ascending in offset; each trade once.
        duplicates: number of skipped exact duplicates.
    """

    items: Sequence[RecordedFrame]
    duplicates: int


class Replay:
    """Implements TradeSource. Skips symbols without a subscription.

    Args:
        recording: the recording.
        speed: speed factor.
        start_grace_ms: maximum delay from the first subscription to the start.
    """

    name = "replay"

    def __init__(self, recording: Recording, speed: float, start_grace_ms: float) -> None:
        self._items, self._speed, self._grace_ms = list(recording.items), speed, start_grace_ms
        self._instruments = describe(self._items)
        self._flags: dict[tuple[Instrument, str], BybitTrade] = {}
        self._subscribed: set[Instrument] = set()
        self._start_at_ms: float | None = None
        self._started = False
        self._next = 0
        self._first_offset_ms = 0.0

    @property
    def state(self) -> str:
        """Return ENDED after the last frame."""
        if self._next == len(self._items):
            return ENDED
        return RUNNING if self._started else WAITING

    @property
    def instruments(self) -> Mapping[Instrument, InstrumentInfo]:
        """Return the recorded symbols."""
        return self._instruments

    def on_subscribe(self, instrument: Instrument, now_ms: int) -> None:
        """Start the grace time; the subscription of the last symbol starts the replay at once."""
        self._subscribed.add(instrument)
        if self._started:
            return
        if self._start_at_ms is None:
            self._start_at_ms = now_ms + self._grace_ms
        if len(self._subscribed) == len(self._instruments):
            self._start_at_ms = now_ms

    def advance(self, now_ms: int) -> list[Frame]:
        """Return the due frames, at most about MAX_TRADES_PER_CALL trades."""
        if self._start_at_ms is None or now_ms < self._start_at_ms:
            return []
        self._started = True
        due_ms = self._first_offset_ms + (now_ms - self._start_at_ms) * self._speed
        frames: list[Frame] = []
        count = 0
        while self._next < len(self._items) and count < MAX_TRADES_PER_CALL:
            item = self._items[self._next]
            if item.offset_ms > due_ms:
                break
            self._next += 1
            if item.instrument in self._subscribed:
                frames.append(item.frame())
                count += len(item.trades)
        return frames

    def skip(self, milliseconds: int) -> None:
        """Postpone the remaining frames."""
        if self._start_at_ms is not None:
            self._start_at_ms += milliseconds

    def resume(self, last: Row, recent_rows: Mapping[Instrument, Sequence[Row]]) -> None:
        """Continue after the last row of the ledger.

        Raises:
            ForeignLedger: the recording does not hold that trade.
        """
        wanted = (instrument_of(last["venue"], last["market_type"], last["symbol"]), last["trade_id"])
        for number, item in enumerate(self._items):
            for index, trade in enumerate(item.trades):
                self._flags[item.instrument, trade.trade_id] = trade
                if (item.instrument, trade.trade_id) == wanted:
                    self._continue_after(number, index)
                    return
        raise ForeignLedger(f"the last trade {wanted[1]} of {wanted[0]} in the ledger", "not in the recording")

    def _continue_after(self, number: int, index: int) -> None:
        self._next = number + 1
        item = self._items[number]
        if index + 1 < len(item.trades):
            # Killed while the rows of the frame were written: the frame was not sent; its remaining trades follow.
            self._next = number
            self._items[number] = item.without(index + 1)
        if self._next < len(self._items):
            self._first_offset_ms = self._items[self._next].offset_ms

    def is_rpi(self, instrument: Instrument, trade_id: str) -> bool | None:
        """Return the recorded flag."""
        trade = self._flags.get((instrument, trade_id))
        return trade.is_rpi if trade else None

    def is_block_trade(self, instrument: Instrument, trade_id: str) -> bool:
        """Return the recorded flag."""
        trade = self._flags.get((instrument, trade_id))
        return trade.is_block_trade if trade else False


def describe(items: Sequence[RecordedFrame]) -> dict[Instrument, InstrumentInfo]:
    """Return the recorded symbols, in the order of their first trade."""
    trades: dict[Instrument, list[tuple[str, str]]] = {}
    for item in items:
        trades.setdefault(item.instrument, []).extend((trade.price, trade.quantity) for trade in item.trades)
    return {
        instrument: from_trades(instrument.market_type, instrument.symbol, number, pairs)
        for number, (instrument, pairs) in enumerate(trades.items(), start=1)
    }

"""A recording as a source: its trades again, in their order and at their pace.

Pure: the caller brings the time; capture.py and normalised.py bring the recording. Times in the
trades stay as recorded, only their sending is now.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import orjson

from tapeline_simulator.bybit.frames import Frame, Key, Trade, encode
from tapeline_simulator.bybit.instruments import Instrument, from_trades
from tapeline_simulator.errors import ForeignLedger
from tapeline_simulator.sources.source import ENDED, RUNNING, WAITING, Row

BURST_TRADES: Final = 5_000
"""Trades given out in one call at most, so that no speed makes a tick endless."""


class Item(NamedTuple):
    """One frame of a recording.

    Attributes:
        offset_ms: when it came, since the start of the recording.
        key: market_type and symbol.
        trades: its trades.
        payload: its JSON text as recorded, or None where it is yet to be written.
        delay_ms: what `ts` is later than `T`, where it is yet to be written.
    """

    offset_ms: float
    key: Key
    trades: Sequence[Trade]
    payload: bytes | None
    delay_ms: int = 1

    def frame(self) -> Frame:
        """Return what is sent."""
        payload = self.payload or encode(self.key, self.trades, self.trades[0].traded_at + self.delay_ms)
        return Frame(self.key, self.trades, payload)

    def without(self, count: int) -> "Item":
        """Return the item without its first trades."""
        if self.payload is None:
            return self._replace(trades=self.trades[count:])
        frame = orjson.loads(self.payload)
        frame["data"] = frame["data"][count:]
        return self._replace(trades=self.trades[count:], payload=orjson.dumps(frame))


class Recording(NamedTuple):
    """What a file holds.

    Attributes:
        items: its frames, ascending in offset; each identity once.
        duplicates: exact repeats of trades that were left out.
    """

    items: Sequence[Item]
    duplicates: int


class Replay:
    """Implements Source. Symbols that nobody ever subscribed to are passed over.

    Args:
        recording: what to send.
        speed: how many times faster than recorded.
        start_grace_ms: the start comes this long after the first subscription at the latest.
    """

    name = "replay"

    def __init__(self, recording: Recording, speed: float, start_grace_ms: float) -> None:
        self._items, self._speed, self._grace_ms = list(recording.items), speed, start_grace_ms
        self._instruments = describe(self._items)
        self._flags: dict[tuple[Key, str], Trade] = {}
        self._heard: set[Key] = set()
        self._start_at_ms: float | None = None
        self._started = False
        self._next = 0
        self._first_offset_ms = 0.0

    @property
    def state(self) -> str:
        """Return ENDED once the last frame is out."""
        if self._next == len(self._items):
            return ENDED
        return RUNNING if self._started else WAITING

    @property
    def instruments(self) -> Mapping[Key, Instrument]:
        """Return the recorded symbols."""
        return self._instruments

    def listen(self, key: Key, now_ms: int) -> None:
        """Bring the start nearer: with the last symbol it comes at once."""
        self._heard.add(key)
        if self._started:
            return
        if self._start_at_ms is None:
            self._start_at_ms = now_ms + self._grace_ms
        if len(self._heard) == len(self._instruments):
            self._start_at_ms = now_ms

    def advance(self, now_ms: int) -> list[Frame]:
        """Return the frames due, or the first BURST_TRADES trades of them."""
        if self._start_at_ms is None or now_ms < self._start_at_ms:
            return []
        self._started = True
        due_ms = self._first_offset_ms + (now_ms - self._start_at_ms) * self._speed
        frames: list[Frame] = []
        count = 0
        while self._next < len(self._items) and count < BURST_TRADES:
            item = self._items[self._next]
            if item.offset_ms > due_ms:
                break
            self._next += 1
            if item.key in self._heard:
                frames.append(item.frame())
                count += len(item.trades)
        return frames

    def skip(self, milliseconds: int) -> None:
        """Put the rest off."""
        if self._start_at_ms is not None:
            self._start_at_ms += milliseconds

    def resume(self, last: Row, tails: Mapping[Key, Sequence[Row]]) -> None:
        """Go on behind the last row of the ledger.

        Raises:
            ForeignLedger: the recording does not hold that trade.
        """
        wanted = ((last["market_type"], last["symbol"]), last["trade_id"])
        for number, item in enumerate(self._items):
            for place, trade in enumerate(item.trades):
                self._flags[item.key, trade.trade_id] = trade
                if (item.key, trade.trade_id) == wanted:
                    self._go_on_behind(number, place)
                    return
        raise ForeignLedger(f"the last trade {wanted} of the ledger", "not in the recording")

    def _go_on_behind(self, number: int, place: int) -> None:
        self._next = number + 1
        item = self._items[number]
        if place + 1 < len(item.trades):
            # Stopped while the frame's rows were written: it was never sent, and its rest is still to come.
            self._next = number
            self._items[number] = item.without(place + 1)
        if self._next < len(self._items):
            self._first_offset_ms = self._items[self._next].offset_ms

    def is_rpi(self, key: Key, trade_id: str) -> bool | None:
        """Return what was recorded."""
        trade = self._flags.get((key, trade_id))
        return trade.is_rpi if trade else None

    def is_block_trade(self, key: Key, trade_id: str) -> bool:
        """Return what was recorded."""
        trade = self._flags.get((key, trade_id))
        return trade.is_block_trade if trade else False


def describe(items: Sequence[Item]) -> dict[Key, Instrument]:
    """Return the recorded symbols, in the order of their first trade."""
    trades: dict[Key, list[tuple[str, str]]] = {}
    for item in items:
        trades.setdefault(item.key, []).extend((trade.price, trade.quantity) for trade in item.trades)
    return {
        key: from_trades(*key, symbol_id=number, prices_and_quantities=pairs)
        for number, (key, pairs) in enumerate(trades.items(), start=1)
    }

"""The exchange: takes frames from its source, writes them to the ledger, sends them to subscribers.

Uses no socket and no clock: the caller passes time, subscribers and ledger.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from tapeline.instrument import Instrument

from tapeline_simulator.bybit.frames import BybitTrade, Frame
from tapeline_simulator.bybit.instruments import InstrumentInfo
from tapeline_simulator.frame_sender import FrameSender, Subscriber
from tapeline_simulator.ledger import TAIL_ROWS, encode
from tapeline_simulator.metrics import Metrics
from tapeline_simulator.sources.source import ENDED, Row, TradeSource

MAX_STALL_MS: Final = 5_000
"""After a longer stall the source skips the missed time; after a shorter one it catches up."""
PAUSED: Final = "paused"


class TradeLedger(Protocol):
    """The part of the ledger that the exchange uses."""

    rows: int
    last: Row | None
    recent_rows: Mapping[Instrument, Sequence[Row]]

    def append(self, lines: Sequence[bytes]) -> None:
        """Write lines; they are written when the call returns."""


class Exchange:
    """Subscriptions, recent trades and ticks of all symbols.

    Args:
        source: makes the trades; it continues after the last row of the ledger.
        ledger: every trade is written there before it is sent.
        sender: sends frames to subscribers.
        metrics: counts trades and frames.

    Raises:
        ForeignLedger: the ledger was not written by this source.
    """

    def __init__(self, source: TradeSource, ledger: TradeLedger, sender: FrameSender, metrics: Metrics) -> None:
        self._source, self._ledger, self._sender, self._metrics = source, ledger, sender, metrics
        self._subscribers: dict[Instrument, dict[Subscriber, None]] = {}
        self._recent: dict[Instrument, deque[BybitTrade]] = {}
        self._trading: dict[Instrument, None] = {}
        self._time_ms: int | None = None
        self._paused = False
        self._sent_since_start = 0
        if ledger.last is not None:
            source.resume(ledger.last, ledger.recent_rows)
            for instrument, rows in ledger.recent_rows.items():
                self._recent[instrument] = deque((self._from_row(instrument, row) for row in rows), maxlen=TAIL_ROWS)

    def _from_row(self, instrument: Instrument, row: Row) -> BybitTrade:
        return BybitTrade(
            trade_id=row["trade_id"],
            traded_at=row["traded_at"],
            price=row["price"],
            quantity=row["quantity"],
            side=row["side"],
            sequence=row["sequence"],
            frame_index=row["frame_index"],
            is_block_trade=self._source.is_block_trade(instrument, row["trade_id"]),
            is_rpi=self._source.is_rpi(instrument, row["trade_id"]),
        )

    @property
    def instruments(self) -> Mapping[Instrument, InstrumentInfo]:
        """Return the instruments by instrument."""
        return self._source.instruments

    def recent(self, instrument: Instrument, limit: int) -> list[BybitTrade]:
        """Return the last trades of a symbol, newest first."""
        trades = self._recent.get(instrument, ())
        return [trade for trade, _ in zip(reversed(trades), range(limit), strict=False)]

    def subscribe(self, instrument: Instrument, subscriber: Subscriber, now_ms: int) -> None:
        """Subscribe to the trades of a symbol; the first subscription starts its trading."""
        self._subscribers.setdefault(instrument, {})[subscriber] = None
        if instrument not in self._trading:
            self._trading[instrument] = None
            self._time_ms = now_ms if self._time_ms is None else self._time_ms
            # The time of the source stops during a pause; `skip` adds the pause afterwards.
            self._source.on_subscribe(instrument, self._time_ms)

    def unsubscribe(self, instrument: Instrument, subscriber: Subscriber) -> None:
        """Unsubscribe from a symbol; the symbol continues to trade."""
        self._subscribers.get(instrument, {}).pop(subscriber, None)

    def disconnect(self, subscriber: Subscriber) -> None:
        """Remove all subscriptions of a subscriber."""
        for subscribers in self._subscribers.values():
            subscribers.pop(subscriber, None)

    def tick(self, now_ms: int, now_ns: int) -> int:
        """Take the due frames from the source, write them, send them.

        Args:
            now_ms: ms UTC.
            now_ns: the same, in ns.

        Returns:
            Number of trades.

        Raises:
            LedgerUnwritable: no frame of this tick was sent.
        """
        if self._paused:
            return 0
        before = now_ms if self._time_ms is None else self._time_ms
        # Trade times must not decrease when the clock is set back.
        self._time_ms = max(before, now_ms)
        if self._time_ms - before > MAX_STALL_MS:
            self._source.skip(self._time_ms - before)
        frames = self._source.advance(self._time_ms)
        if frames:
            self._append_to_ledger(frames, now_ns)
            self._send(frames)
        return sum(len(frame.trades) for frame in frames)

    def _append_to_ledger(self, frames: Sequence[Frame], now_ns: int) -> None:
        lines = []
        for instrument, trades, _ in frames:
            sockets = len(self._subscribers.get(instrument, ()))
            lines.extend([encode(instrument, trade, now_ns, sockets) for trade in trades])
        self._ledger.append(lines)
        self._sent_since_start += len(lines)

    def _send(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            self._recent.setdefault(frame.instrument, deque(maxlen=TAIL_ROWS)).extend(frame.trades)
            subscribers = tuple(self._subscribers.get(frame.instrument, ()))
            for subscriber in subscribers:
                self._sender.send(frame, subscriber)
            self._metrics.sent(frame.instrument.market_type, len(frame.trades), len(subscribers))

    def pause(self) -> None:
        """Pause trading; sockets stay open and get replies."""
        self._paused = True

    def resume(self, now_ms: int) -> None:
        """Resume trading after `pause`."""
        if self._paused and self._time_ms is not None:
            self._source.skip(max(0, now_ms - self._time_ms))
            self._time_ms = max(self._time_ms, now_ms)
        self._paused = False

    def status(self) -> dict[str, object]:
        """Return the body of /simulator/status; `sent` counts all rows of the ledger, also of earlier processes."""
        state = self._source.state
        return {
            "state": PAUSED if self._paused and state != ENDED else state,
            "sent": self._ledger.rows,
            "sent_since_start": self._sent_since_start,
            "instruments": [str(instrument) for instrument in self.instruments],
            "trading": [str(instrument) for instrument in self._trading],
            "source": self._source.name,
        }

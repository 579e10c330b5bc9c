"""The exchange: takes frames from its source, writes them to the ledger, sends them to subscribers.

Uses no socket and no clock: the caller passes time, subscribers and ledger.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from tapeline_simulator.bybit.frames import BybitTrade, Frame, Key
from tapeline_simulator.bybit.instruments import Instrument
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
    recent_rows: Mapping[Key, Sequence[Row]]

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
        self._subscribers: dict[Key, dict[Subscriber, None]] = {}
        self._recent: dict[Key, deque[BybitTrade]] = {}
        self._trading: dict[Key, None] = {}
        self._time_ms: int | None = None
        self._paused = False
        self._sent_since_start = 0
        if ledger.last is not None:
            source.resume(ledger.last, ledger.recent_rows)
            for key, rows in ledger.recent_rows.items():
                self._recent[key] = deque((self._from_row(key, row) for row in rows), maxlen=TAIL_ROWS)

    def _from_row(self, key: Key, row: Row) -> BybitTrade:
        return BybitTrade(
            trade_id=row["trade_id"],
            traded_at=row["traded_at"],
            price=row["price"],
            quantity=row["quantity"],
            side=row["side"],
            sequence=row["sequence"],
            frame_index=row["frame_index"],
            is_block_trade=self._source.is_block_trade(key, row["trade_id"]),
            is_rpi=self._source.is_rpi(key, row["trade_id"]),
        )

    @property
    def instruments(self) -> Mapping[Key, Instrument]:
        """Return the instruments by key."""
        return self._source.instruments

    def recent(self, key: Key, limit: int) -> list[BybitTrade]:
        """Return the last trades of a symbol, newest first."""
        trades = self._recent.get(key, ())
        return [trade for trade, _ in zip(reversed(trades), range(limit), strict=False)]

    def subscribe(self, key: Key, subscriber: Subscriber, now_ms: int) -> None:
        """Subscribe to the trades of a symbol; the first subscription starts its trading."""
        self._subscribers.setdefault(key, {})[subscriber] = None
        if key not in self._trading:
            self._trading[key] = None
            self._time_ms = now_ms if self._time_ms is None else self._time_ms
            # The time of the source stops during a pause; `skip` adds the pause afterwards.
            self._source.on_subscribe(key, self._time_ms)

    def unsubscribe(self, key: Key, subscriber: Subscriber) -> None:
        """Unsubscribe from a symbol; the symbol continues to trade."""
        self._subscribers.get(key, {}).pop(subscriber, None)

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
        for key, trades, _ in frames:
            sockets = len(self._subscribers.get(key, ()))
            lines.extend([encode(key, trade, now_ns, sockets) for trade in trades])
        self._ledger.append(lines)
        self._sent_since_start += len(lines)

    def _send(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            market_type = frame.key[0]
            self._recent.setdefault(frame.key, deque(maxlen=TAIL_ROWS)).extend(frame.trades)
            subscribers = tuple(self._subscribers.get(frame.key, ()))
            for subscriber in subscribers:
                self._sender.send(frame, subscriber)
            self._metrics.sent(market_type, len(frame.trades), len(subscribers))

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
            "symbols": [list(key) for key in self.instruments],
            "trading": [list(key) for key in self._trading],
            "source": self._source.name,
        }

"""The exchange: takes frames from its source, writes them down, sends them to who subscribed.

No socket and no clock of its own: the caller brings time, subscribers and ledger.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from tapeline_simulator.bybit.frames import Frame, Key, Trade
from tapeline_simulator.bybit.instruments import Instrument
from tapeline_simulator.ledger import TAIL_ROWS, encode
from tapeline_simulator.metrics import Metrics
from tapeline_simulator.sources.source import ENDED, Row, Source
from tapeline_simulator.wire import Subscriber, Wire

LONGEST_STALL_MS: Final = 5_000
"""After a longer stop of the process the market goes on from now; after a shorter one it catches up."""
PAUSED: Final = "paused"


class Book(Protocol):
    """What the exchange needs of a ledger."""

    rows: int
    last: Row | None
    tails: Mapping[Key, Sequence[Row]]

    def append(self, lines: Sequence[bytes]) -> None:
        """Write lines down before it returns."""


class Exchange:
    """State of the whole exchange.

    Args:
        source: where trades come from; it is put behind the ledger's last row.
        ledger: where they are written before they are sent.
        wire: what carries them.
        metrics: what counts them.

    Raises:
        ForeignLedger: the ledger was not written by this source.
    """

    def __init__(self, source: Source, ledger: Book, wire: Wire, metrics: Metrics) -> None:
        self._source, self._ledger, self._wire, self._metrics = source, ledger, wire, metrics
        self._subscribers: dict[Key, dict[Subscriber, None]] = {}
        self._recent: dict[Key, deque[Trade]] = {}
        self._heard: dict[Key, None] = {}
        self._now_ms: int | None = None
        self._paused = False
        self._made = 0
        if ledger.last is not None:
            source.resume(ledger.last, ledger.tails)
            for key, rows in ledger.tails.items():
                self._recent[key] = deque((self._from_row(key, row) for row in rows), maxlen=TAIL_ROWS)

    def _from_row(self, key: Key, row: Row) -> Trade:
        return Trade(
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
        """Return what can be subscribed to."""
        return self._source.instruments

    def recent(self, key: Key, limit: int) -> list[Trade]:
        """Return the last trades of a symbol, newest first."""
        trades = self._recent.get(key, ())
        return [trade for trade, _ in zip(reversed(trades), range(limit), strict=False)]

    def subscribe(self, key: Key, subscriber: Subscriber, now_ms: int) -> None:
        """Send a symbol's trades to a subscriber from now on; a symbol's first one lets it trade."""
        self._subscribers.setdefault(key, {})[subscriber] = None
        if key not in self._heard:
            self._heard[key] = None
            self._now_ms = now_ms if self._now_ms is None else self._now_ms
            # The source's own time stands still in a pause; `skip` makes up for it afterwards.
            self._source.listen(key, self._now_ms)

    def unsubscribe(self, key: Key, subscriber: Subscriber) -> None:
        """Send no more of a symbol; it goes on trading."""
        self._subscribers.get(key, {}).pop(subscriber, None)

    def leave(self, subscriber: Subscriber) -> None:
        """Forget a subscriber."""
        for subscribers in self._subscribers.values():
            subscribers.pop(subscriber, None)

    def tick(self, now_ms: int, now_ns: int) -> int:
        """Make what is due, write it down, send it.

        Args:
            now_ms: ms UTC.
            now_ns: the same, in ns.

        Returns:
            How many trades that were.

        Raises:
            LedgerUnwritable: nothing of this tick was sent.
        """
        if self._paused:
            return 0
        before = now_ms if self._now_ms is None else self._now_ms
        # A clock that was set back must not take trades back with it.
        self._now_ms = max(before, now_ms)
        if self._now_ms - before > LONGEST_STALL_MS:
            self._source.skip(self._now_ms - before)
        frames = self._source.advance(self._now_ms)
        if frames:
            self._write(frames, now_ns)
            self._send(frames)
        return sum(len(frame.trades) for frame in frames)

    def _write(self, frames: Sequence[Frame], now_ns: int) -> None:
        lines = []
        for key, trades, _ in frames:
            sockets = len(self._subscribers.get(key, ()))
            lines.extend([encode(key, trade, now_ns, sockets) for trade in trades])
        self._ledger.append(lines)
        self._made += len(lines)

    def _send(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            market_type = frame.key[0]
            self._recent.setdefault(frame.key, deque(maxlen=TAIL_ROWS)).extend(frame.trades)
            subscribers = tuple(self._subscribers.get(frame.key, ()))
            for subscriber in subscribers:
                self._wire.carry(frame, subscriber)
            self._metrics.sent(market_type, len(frame.trades), len(subscribers))

    def pause(self) -> None:
        """Make no more trades; sockets stay and are answered."""
        self._paused = True

    def resume(self, now_ms: int) -> None:
        """Go on where `pause` stopped."""
        if self._paused and self._now_ms is not None:
            self._source.skip(max(0, now_ms - self._now_ms))
            self._now_ms = max(self._now_ms, now_ms)
        self._paused = False

    def status(self) -> dict[str, object]:
        """Return what /simulator/status says; `sent` counts the ledger's rows, of earlier lives too."""
        state = self._source.state
        return {
            "state": PAUSED if self._paused and state != ENDED else state,
            "sent": self._ledger.rows,
            "sent_since_start": self._made,
            "symbols": [list(key) for key in self.instruments],
            "trading": [list(key) for key in self._heard],
            "source": self._source.name,
        }

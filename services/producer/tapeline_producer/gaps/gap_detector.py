"""Detects gaps: tracks each instrument's last trade, duplicates, order and missing trades.

Pure: time is an argument; pipeline.py requests the back-fill, trade_writer.py writes to Kafka.
After a break new trades are buffered until REST responds; what REST proves is released without a gap.
To change what counts as proof: `proves_continuity` and `overlaps_log`.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from tapeline.enums import GapReason, TradeSource
from tapeline.instrument import Instrument
from tapeline.records.gap import Gap

from tapeline_producer.exchange.bybit.messages import Trade, TradeBatch

OrderKey = tuple[int, int]
# (traded_at, sequence) pairs whose frame index is still counted: frames of one taker order arrive close together.
_ORDER_KEYS_KEPT: Final = 256


class LastTrade(NamedTuple):
    """The newest known trade of an instrument."""

    trade_id: str
    key: OrderKey


class Released(NamedTuple):
    """Trades and gaps for Kafka, in order; each gap ends at one of the trades."""

    trades: list[Trade]
    gaps: list[Gap]
    duplicates: list[Trade]


def order_key(traded_at: int, sequence: int | None) -> OrderKey:
    """Return the part of a trade's order that the exchange defines."""
    return traded_at, -1 if sequence is None else sequence


class SequenceTracker:
    """Removes duplicates from one instrument's trades, numbers them and reports gaps."""

    def __init__(self, instrument: Instrument, window: int, buffer_limit: int) -> None:
        """Start without a known trade.

        Args:
            instrument: whose trades.
            window: number of trade ids kept.
            buffer_limit: most trades buffered during a back-fill.
        """
        self.instrument = instrument
        self.last: LastTrade | None = None
        self.unknown_since_ms: int | None = None
        """Time, ms UTC, from which the trades are unknown of an instrument that may have traded before."""
        self.generation = 0
        """Number of breaks: a back-fill that was requested before the latest break proves nothing."""
        self.backfill_requested = False
        """Whether a back-fill was requested since the latest break."""
        self._window = window
        self._buffer_limit = buffer_limit
        self._known_ids: set[str] = set()
        self._id_window: deque[tuple[str, OrderKey]] = deque()
        self._known_from: OrderKey | None = None
        self._next_frame_indexes: OrderedDict[OrderKey, int] = OrderedDict()
        self._segments: list[list[Trade]] = []
        self._reason = GapReason.RESTART
        self._gap_pending = False

    @property
    def is_paused(self) -> bool:
        """Whether new trades are buffered until a back-fill ends."""
        return bool(self._segments)

    def record_logged(self, trade_id: str, key: OrderKey, frame_index: int) -> None:
        """Record a trade that Kafka already holds; call in the order of the topic."""
        if trade_id not in self._known_ids:
            self._record(trade_id, key, frame_index)

    def pause(self, reason: GapReason) -> None:
        """Record a break of the connection: trades are buffered from here on.

        Args:
            reason: for the gap that may follow.
        """
        if self.last is None and self.unknown_since_ms is None:
            return
        self.generation += 1
        self.backfill_requested = False
        self._gap_pending = False
        self._reason = reason
        self._segments.append([])

    def accept(self, trades: Sequence[Trade], now_ms: int) -> Released:
        """Take trades of the stream and return those that are released now."""
        if not self._segments:
            out = Released([], [], [])
            out.duplicates.extend(trade for trade in trades if not self._emit(trade, out, now_ms))
            return out
        fresh = [trade for trade in trades if trade.trade_id not in self._known_ids]
        duplicates = [trade for trade in trades if trade.trade_id in self._known_ids]
        self._segments[-1].extend(fresh)
        if sum(map(len, self._segments)) > self._buffer_limit:
            out = self.abandon(now_ms)
            return out._replace(duplicates=out.duplicates + duplicates)
        return Released([], [], duplicates)

    def resolve(self, backfill: TradeBatch, limit: int, now_ms: int) -> Released:
        """End the pause with the trades of a back-fill.

        Args:
            backfill: trades of the REST response, oldest first.
            limit: most trades that the request could return.
            now_ms: for a gap, ms UTC.
        """
        out = Released([], [], [])
        segments, self._segments = self._segments, []
        while len(segments) > 1 and not self.proves_continuity(backfill, limit):
            self._release_after_gap(segments.pop(0), out, now_ms)
        buffered = [trade for segment in segments for trade in segment]
        merged = _interleave(list(self._missed_trades(backfill)), buffered)
        self._gap_pending = not self.proves_continuity(backfill, limit)
        out.duplicates.extend(trade for trade in merged if not self._emit(trade, out, now_ms))
        return _with_backfill_count(out)

    def abandon(self, now_ms: int) -> Released:
        """End the pause without a back-fill: a gap to the first buffered trade, or to the next trade that comes."""
        out = Released([], [], [])
        segments, self._segments = self._segments, []
        self.generation += 1
        for segment in segments:
            self._release_after_gap(segment, out, now_ms)
        return out

    def _release_after_gap(self, segment: list[Trade], out: Released, now_ms: int) -> None:
        self._gap_pending = True
        for trade in segment:
            self._emit(trade, out, now_ms)

    def _emit(self, trade: Trade, out: Released, now_ms: int) -> bool:
        """Number a trade and release it; False if it is a duplicate."""
        if trade.trade_id in self._known_ids:
            return False
        key = order_key(trade.traded_at, trade.sequence)
        if self._gap_pending and (self.last is None or key >= self.last.key):
            self._gap_pending = False
            gap = self._gap(trade, now_ms)
            if gap is not None:
                out.gaps.append(gap)
        trade.frame_index = self._next_frame_indexes.get(key, 0)
        self._record(trade.trade_id, key, trade.frame_index)
        out.trades.append(trade)
        return True

    def _gap(self, trade: Trade, now_ms: int) -> Gap | None:
        start = self.last.key[0] if self.last else self.unknown_since_ms
        if start is None:
            return None
        return Gap.model_validate(
            {
                "venue": self.instrument.venue,
                "market_type": self.instrument.market_type,
                "symbol": self.instrument.symbol,
                "reason": self._reason,
                "detected_at": now_ms,
                "from_traded_at": start,
                "from_trade_id": self.last.trade_id if self.last else None,
                "to_traded_at": trade.traded_at,
                "to_trade_id": trade.trade_id,
                "backfilled": 0,
            }
        )

    def _record(self, trade_id: str, key: OrderKey, frame_index: int) -> None:
        self._known_ids.add(trade_id)
        self._id_window.append((trade_id, key))
        if self._known_from is None:
            self._known_from = key
        if len(self._id_window) > self._window:
            evicted_id, evicted_key = self._id_window.popleft()
            self._known_ids.discard(evicted_id)
            self._known_from = max(self._known_from, evicted_key)
        indexes = self._next_frame_indexes
        indexes[key] = max(indexes.get(key, 0), frame_index + 1)
        if len(indexes) > _ORDER_KEYS_KEPT:
            indexes.popitem(last=False)
        if self.last is None or key >= self.last.key:
            self.last = LastTrade(trade_id, key)

    @property
    def overlaps_log(self) -> bool:
        """Whether a trade buffered since the only break is in the log: another replica wrote all trades before it."""
        return len(self._segments) == 1 and any(trade.trade_id in self._known_ids for trade in self._segments[0])

    def proves_continuity(self, backfill: TradeBatch, limit: int) -> bool:
        """Return whether a back-fill provably contains every trade since the last known one.

        Args:
            backfill: trades of the REST response, oldest first.
            limit: most trades that the request could return.
        """
        if backfill.item_count < limit:
            return True
        if self.last is None:
            since = self.unknown_since_ms
            return since is None or any(trade.traded_at < since for trade in backfill.trades)
        last_id, last_key = self.last
        return any(
            trade.trade_id == last_id or order_key(trade.traded_at, trade.sequence) < last_key
            for trade in backfill.trades
        )

    def _missed_trades(self, backfill: TradeBatch) -> Iterator[Trade]:
        """Yield the trades of a back-fill that the stream did not deliver, oldest first.

        These are the trades after the last known one, and earlier trades that are missing among the known ids.
        """
        known_from = (self.unknown_since_ms or 0, -2) if self._known_from is None else self._known_from
        ids = [trade.trade_id for trade in backfill.trades]
        last_index = ids.index(self.last.trade_id) if self.last and self.last.trade_id in ids else -1
        for index, trade in enumerate(backfill.trades):
            key = order_key(trade.traded_at, trade.sequence)
            is_after = index > last_index if last_index >= 0 else self.last is None or key >= self.last.key
            if trade.trade_id not in self._known_ids and (key > known_from or (is_after and self.last is not None)):
                yield trade


class SequenceTrackers:
    """The trackers of all instruments."""

    def __init__(self, window: int, buffer_limit: int) -> None:
        """Start without a tracker; see SequenceTracker for the arguments."""
        self._window = window
        self._buffer_limit = buffer_limit
        self._trackers: dict[Instrument, SequenceTracker] = {}
        self.unknown_since_ms: int | None = None
        """Initial value for new trackers: the log was too long to be read from its beginning."""

    def get_or_create(self, instrument: Instrument) -> SequenceTracker:
        """Return the tracker of an instrument, a new one if there is none."""
        tracker = self._trackers.get(instrument)
        if tracker is None:
            tracker = SequenceTracker(instrument, self._window, self._buffer_limit)
            tracker.unknown_since_ms = self.unknown_since_ms
            self._trackers[instrument] = tracker
        return tracker

    def __iter__(self) -> Iterator[SequenceTracker]:
        """Yield the tracker of each instrument."""
        return iter(list(self._trackers.values()))

    def replace(self, trackers: Iterable[SequenceTracker]) -> None:
        """Insert trackers, replacing those of the same instruments."""
        self._trackers.update((tracker.instrument, tracker) for tracker in trackers)

    def remove(self, instrument: Instrument) -> SequenceTracker | None:
        """Remove the tracker of an instrument and return it; None if there is none."""
        return self._trackers.pop(instrument, None)


def _interleave(missed: list[Trade], buffered: list[Trade]) -> list[Trade]:
    """Merge both lists without duplicates, each in its own order; of a trade in both, keep the buffered one.

    A trade that only REST has came before the subscription, so it precedes a buffered trade of the same time.
    """
    buffered_ids = {trade.trade_id for trade in buffered}
    indexes = {trade.trade_id: index for index, trade in enumerate(missed)}
    merged: list[Trade] = []
    done = 0
    for trade in buffered:
        key = order_key(trade.traded_at, trade.sequence)
        until = indexes.get(trade.trade_id, -1)
        while done < len(missed):
            other = missed[done]
            is_missed_only = other.trade_id not in buffered_ids
            precedes = until < 0 and is_missed_only and order_key(other.traded_at, other.sequence) <= key
            if done > until and not precedes:
                break
            if is_missed_only:
                merged.append(other)
            done += 1
        merged.append(trade)
    return merged + [other for other in missed[done:] if other.trade_id not in buffered_ids]


def _with_backfill_count(out: Released) -> Released:
    count = sum(trade.source is TradeSource.BACKFILL for trade in out.trades)
    return out._replace(gaps=[gap.model_copy(update={"backfilled": count}) for gap in out.gaps])

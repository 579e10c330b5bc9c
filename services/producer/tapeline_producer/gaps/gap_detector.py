"""One symbol's history: what was seen last, what is new, and whether anything is missing in between.

Pure: time comes in as an argument; intake.py asks REST, publish.py writes Kafka.
After a break the new trades are held until REST was asked; what REST proves is released without a gap.
To change what counts as proof: `is_proven` and `overlaps`.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from tapeline import names
from tapeline.records.gap import Gap

from tapeline_producer.exchange.bybit.messages import Trade, Trades

Key = tuple[int, int]
# (traded_at, sequence) pairs whose trades are still counted: frames of one taker order come close together.
_PLACES_REMEMBERED: Final = 256


class Seen(NamedTuple):
    """The newest trade known of a symbol."""

    trade_id: str
    key: Key


class Released(NamedTuple):
    """What goes on to Kafka, in order; a gap stands for a hole before one of the trades."""

    trades: list[Trade]
    gaps: list[Gap]
    duplicates: list[Trade]


def key_of(traded_at: int, sequence: int | None) -> Key:
    """Return the part of a trade's order that the exchange gives."""
    return traded_at, -1 if sequence is None else sequence


class History:
    """The trades of one symbol, without duplicates, numbered, and with their holes known."""

    def __init__(self, market_type: str, symbol: str, window: int, hold_limit: int) -> None:
        """Start with nothing known.

        Args:
            market_type: market.
            symbol: symbol.
            window: trade ids remembered.
            hold_limit: most trades held during a back-fill.
        """
        self.market_type = market_type
        self.symbol = symbol
        self.last: Seen | None = None
        self.unknown_since: int | None = None
        """Time, ms UTC, from which nothing is known of a symbol that may have traded before."""
        self.generation = 0
        """Counts the breaks: an answer that was asked for before the latest break proves nothing."""
        self.asked = False
        """Whether REST was asked since the latest break."""
        self._window = window
        self._hold_limit = hold_limit
        self._ids: set[str] = set()
        self._order: deque[tuple[str, Key]] = deque()
        self._floor: Key | None = None
        self._places: OrderedDict[Key, int] = OrderedDict()
        self._segments: list[list[Trade]] = []
        self._reason = ""
        self._owed = False

    @property
    def holding(self) -> bool:
        """Whether new trades wait for a back-fill."""
        return bool(self._segments)

    def remember(self, trade_id: str, key: Key, frame_index: int) -> None:
        """Note a trade that is in Kafka already; call in the order of the topic."""
        if trade_id not in self._ids:
            self._note(trade_id, key, frame_index)

    def hold(self, reason: str) -> None:
        """Note a break of the connection: trades from here on wait for a back-fill.

        Args:
            reason: `reconnect`, `restart` or `stall`, for the gap that may follow.
        """
        if self.last is None and self.unknown_since is None:
            return
        self.generation += 1
        self.asked = False
        self._owed = False
        self._reason = reason
        self._segments.append([])

    def take(self, trades: Sequence[Trade], now_ms: int) -> Released:
        """Take trades of the stream and return those that go on now."""
        if not self._segments:
            out = Released([], [], [])
            out.duplicates.extend(trade for trade in trades if not self._accept(trade, out, now_ms))
            return out
        fresh = [trade for trade in trades if trade.trade_id not in self._ids]
        duplicates = [trade for trade in trades if trade.trade_id in self._ids]
        self._segments[-1].extend(fresh)
        if sum(map(len, self._segments)) > self._hold_limit:
            out = self.give_up(now_ms)
            return out._replace(duplicates=out.duplicates + duplicates)
        return Released([], [], duplicates)

    def merge(self, answer: Trades, limit: int, now_ms: int) -> Released:
        """End the hold with what REST gave back.

        Args:
            answer: the trades REST knows, oldest first.
            limit: how many it would have given at most.
            now_ms: for a gap, ms UTC.
        """
        out = Released([], [], [])
        segments, self._segments = self._segments, []
        while len(segments) > 1 and not self.is_proven(answer, limit):
            self._release_after_hole(segments.pop(0), out, now_ms)
        held = [trade for segment in segments for trade in segment]
        together = _interleave(list(self._missed(answer)), held)
        self._owed = not self.is_proven(answer, limit)
        out.duplicates.extend(trade for trade in together if not self._accept(trade, out, now_ms))
        return _with_backfilled(out)

    def give_up(self, now_ms: int) -> Released:
        """End the hold without an answer: a gap to the first trade held, or to the next one that comes."""
        out = Released([], [], [])
        segments, self._segments = self._segments, []
        self.generation += 1
        for segment in segments:
            self._release_after_hole(segment, out, now_ms)
        return out

    def _release_after_hole(self, segment: list[Trade], out: Released, now_ms: int) -> None:
        self._owed = True
        for trade in segment:
            self._accept(trade, out, now_ms)

    def _accept(self, trade: Trade, out: Released, now_ms: int) -> bool:
        """Number a trade and let it out, unless it is known."""
        if trade.trade_id in self._ids:
            return False
        key = key_of(trade.traded_at, trade.sequence)
        if self._owed and (self.last is None or key >= self.last.key):
            self._owed = False
            gap = self._gap(trade, now_ms)
            if gap is not None:
                out.gaps.append(gap)
        trade.frame_index = self._places.get(key, 0)
        self._note(trade.trade_id, key, trade.frame_index)
        out.trades.append(trade)
        return True

    def _gap(self, trade: Trade, now_ms: int) -> Gap | None:
        start = self.last.key[0] if self.last else self.unknown_since
        if start is None:
            return None
        return Gap.model_validate(
            {
                "venue": names.VENUE,
                "market_type": self.market_type,
                "symbol": self.symbol,
                "reason": self._reason,
                "detected_at": now_ms,
                "from_traded_at": start,
                "from_trade_id": self.last.trade_id if self.last else None,
                "to_traded_at": trade.traded_at,
                "to_trade_id": trade.trade_id,
                "backfilled": 0,
            }
        )

    def _note(self, trade_id: str, key: Key, frame_index: int) -> None:
        self._ids.add(trade_id)
        self._order.append((trade_id, key))
        if self._floor is None:
            self._floor = key
        if len(self._order) > self._window:
            forgotten, old_key = self._order.popleft()
            self._ids.discard(forgotten)
            self._floor = max(self._floor, old_key)
        places = self._places
        places[key] = max(places.get(key, 0), frame_index + 1)
        if len(places) > _PLACES_REMEMBERED:
            places.popitem(last=False)
        if self.last is None or key >= self.last.key:
            self.last = Seen(trade_id, key)

    @property
    def overlaps(self) -> bool:
        """Whether a trade held since the only break is known already: another replica wrote all before it."""
        return len(self._segments) == 1 and any(trade.trade_id in self._ids for trade in self._segments[0])

    def is_proven(self, answer: Trades, limit: int) -> bool:
        """Return whether the answer proves that it holds every trade since the last one seen.

        Args:
            answer: the trades REST knows, oldest first.
            limit: how many it would have given at most.
        """
        if answer.offered < limit:
            return True
        if self.last is None:
            since = self.unknown_since
            return since is None or any(trade.traded_at < since for trade in answer.trades)
        last_id, last_key = self.last
        return any(
            trade.trade_id == last_id or key_of(trade.traded_at, trade.sequence) < last_key for trade in answer.trades
        )

    def _missed(self, answer: Trades) -> Iterator[Trade]:
        """Yield the trades of the answer that should have come and did not, oldest first.

        That is what follows the last one seen, and holes further back that the known ids show.
        """
        known_since = (self.unknown_since or 0, -2) if self._floor is None else self._floor
        ids = [trade.trade_id for trade in answer.trades]
        follows = ids.index(self.last.trade_id) if self.last and self.last.trade_id in ids else -1
        for place, trade in enumerate(answer.trades):
            key = key_of(trade.traded_at, trade.sequence)
            is_after = place > follows if follows >= 0 else self.last is None or key >= self.last.key
            if trade.trade_id not in self._ids and (key > known_since or (is_after and self.last is not None)):
                yield trade


class Histories:
    """The histories of all symbols."""

    def __init__(self, window: int, hold_limit: int) -> None:
        """Start with none; see History for the arguments."""
        self._window = window
        self._hold_limit = hold_limit
        self._all: dict[tuple[str, str], History] = {}
        self.unknown_since: int | None = None
        """Given to every symbol that is not known yet: the log was too long to be read whole."""

    def of(self, market_type: str, symbol: str) -> History:
        """Return the history of a symbol, a new one if there is none."""
        history = self._all.get((market_type, symbol))
        if history is None:
            history = History(market_type, symbol, self._window, self._hold_limit)
            history.unknown_since = self.unknown_since
            self._all[market_type, symbol] = history
        return history

    def __iter__(self) -> Iterator[History]:
        """Yield the history of each symbol."""
        return iter(list(self._all.values()))

    def adopt(self, others: Iterable[History]) -> None:
        """Take histories in, in place of what is known of their symbols."""
        self._all.update(((history.market_type, history.symbol), history) for history in others)

    def forget(self, market_type: str, symbol: str) -> History | None:
        """Drop the history of a symbol and return it; None if there is none."""
        return self._all.pop((market_type, symbol), None)


def _interleave(missed: list[Trade], held: list[Trade]) -> list[Trade]:
    """Return both without repeats, each in its own order; of a trade in both, ours.

    What only REST has came before the subscription, so it goes before ours of the same moment.
    """
    ours = {trade.trade_id for trade in held}
    places = {trade.trade_id: place for place, trade in enumerate(missed)}
    together: list[Trade] = []
    done = 0
    for trade in held:
        key = key_of(trade.traded_at, trade.sequence)
        until = places.get(trade.trade_id, -1)
        while done < len(missed):
            other = missed[done]
            is_theirs = other.trade_id not in ours
            if done > until and not (until < 0 and is_theirs and key_of(other.traded_at, other.sequence) <= key):
                break
            if is_theirs:
                together.append(other)
            done += 1
        together.append(trade)
    return together + [other for other in missed[done:] if other.trade_id not in ours]


def _with_backfilled(out: Released) -> Released:
    count = sum(trade.source == names.SOURCE_BACKFILL for trade in out.trades)
    return out._replace(gaps=[gap.model_copy(update={"backfilled": count}) for gap in out.gaps])

"""Where the feeds' answers come from: what is asked first, what after it, and what of it is new."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from tapeline.records import candle

from tapeline_board.api.query_params import (
    ALL,
    DAY_MS,
    Filters,
    Span,
    aligned,
    minutes_until,
)
from tapeline_board.api.schemas.market import (
    CandlesAnswer,
    EventName,
    MarketAnswer,
    TapeAnswer,
    Told,
)
from tapeline_board.live.poller import Source
from tapeline_board.panels import candles, tape
from tapeline_board.panels.market_state import MarketBook
from tapeline_board.panels.reader import Reader
from tapeline_board.settings import Settings

T = TypeVar("T", bound=Told)
_SPAN: Final = {"from_at", "to_at"}


@dataclass(frozen=True, slots=True)
class Topic:
    """What a feed is about; equal topics are one feed."""

    event: EventName
    filters: Filters = ALL
    window_ms: int = 0


class PlainSource(Generic[T]):
    """Asks the same question anew each time."""

    def __init__(self, ask: Callable[[], Awaitable[T]]) -> None:
        self._ask = ask
        self._known: T | None = None

    async def look(self) -> T | None:
        """Return the answer where it is another one, its span aside."""
        now = await self._ask()
        before, self._known = self._known, now
        is_same = before is not None and before.model_dump(exclude=_SPAN) == now.model_dump(exclude=_SPAN)
        return None if is_same else now

    def whole(self) -> T | None:
        """Return the last answer."""
        return self._known


class TapeSource:
    """The newest trades; news are those that came since the last look."""

    def __init__(self, reader: Reader, filters: Filters) -> None:
        self._reader, self._filters = reader, filters
        self._known: TapeAnswer | None = None

    async def look(self) -> TapeAnswer | None:
        """Return the trades that are new."""
        now = await self._reader.tape(self._filters)
        before, self._known = self._known, now
        return now if before is None else tape.news(before, now)

    def whole(self) -> TapeAnswer | None:
        """Return the newest trades."""
        return self._known


class CandleSource:
    """One symbol's candles; news are those that were written since the last look."""

    def __init__(self, reader: Reader, filters: Filters) -> None:
        self._reader, self._filters = reader, filters
        self._changes = candles.Changes()
        self._has_looked = False

    async def look(self) -> CandlesAnswer | None:
        """Return the candles that changed."""
        since_ms = self._changes.written_ms
        if since_ms:
            found = await self._reader.changed_candles(self._filters, since_ms)
        else:
            found = await self._reader.recent_candles(self._filters)
        is_first, self._has_looked = not self._has_looked, True
        fresh = self._changes.take(found)
        if is_first or not since_ms:
            return self.whole() if fresh or is_first else None
        return candles.candles(self._filters, fresh, self._changes.recent()[0]) if fresh else None

    def whole(self) -> CandlesAnswer | None:
        """Return the newest candles."""
        return candles.candles(self._filters, self._changes.recent()) if self._has_looked else None


class MarketSource:
    """The six views: the whole span now and then, its newest buckets in between."""

    def __init__(self, reader: Reader, settings: Settings, filters: Filters, window_ms: int) -> None:
        self._reader, self._settings, self._filters, self._window_ms = reader, settings, filters, window_ms
        self._book: MarketBook | None = None
        self._whole_due_s = 0.0

    async def look(self) -> MarketAnswer | None:
        """Return the buckets that changed, or all of them where the whole span was read."""
        now_ms = self._reader.clock_ms()
        span, loop = aligned(now_ms, self._window_ms), asyncio.get_running_loop()
        start_s = loop.time()
        if self._book is None or start_s >= self._whole_due_s:
            self._book = await self._reader.market(self._filters, span)
            took_s = loop.time() - start_s
            rest_s = max(self._settings.market_whole_s, 10 * self._settings.idle_share * took_s)
            self._whole_due_s = loop.time() + rest_s
            return self._book.whole()
        return await self._look_at_newest(self._book, span, now_ms)

    async def _look_at_newest(self, book: MarketBook, span: Span, now_ms: int) -> MarketAnswer | None:
        overlap_ms = round(self._settings.market_overlap_s * 1000)
        from_ms = max(span.from_ms, (now_ms - overlap_ms) // book.interval_ms * book.interval_ms)
        part = Span(from_ms, span.to_ms)
        newer = await self._reader.market_part(self._filters, part, book.interval_ms, book.ranking.markets)
        if not book.ranking.is_cut and newer.has_others():
            # A symbol that was not there when the whole span was read.
            self._whole_due_s = 0.0
        return book.merge(span, from_ms, newer)

    def whole(self) -> MarketAnswer | None:
        """Return all buckets."""
        return None if self._book is None else self._book.whole()


class Sources:
    """Makes the source of any topic."""

    def __init__(self, reader: Reader, settings: Settings) -> None:
        self._reader, self._settings = reader, settings

    def poll_s(self, event: EventName) -> float:
        """Return how often a topic of some event is asked for."""
        return self._settings.poll_s if event in ("tape", "candle", "market") else self._settings.slow_poll_s

    def make(self, topic: Topic) -> Source:
        """Return a new source.

        Raises:
            ValueError: no source is known for such events.
        """
        reader, filters = self._reader, topic.filters
        makers: dict[EventName, Callable[[], Source]] = {
            "symbols": lambda: PlainSource(reader.symbols),
            "tape": lambda: TapeSource(reader, filters),
            "candle": lambda: CandleSource(reader, filters),
            "market": lambda: MarketSource(reader, self._settings, filters, topic.window_ms),
            "model": lambda: PlainSource(reader.model),
            "completeness": lambda: PlainSource(lambda: self._completeness(topic)),
            "alerts": lambda: PlainSource(lambda: reader.alerts(filters, self._last_day())),
        }
        if topic.event not in makers:
            raise ValueError(f"event was {topic.event!r}; there are sources for {sorted(makers)}")
        return makers[topic.event]()

    async def _completeness(self, topic: Topic) -> Told:
        minutes = -(-topic.window_ms // candle.MINUTE_MS)
        return await self._reader.completeness(topic.filters, minutes_until(self._reader.clock_ms(), minutes))

    def _last_day(self) -> Span:
        now_ms = self._reader.clock_ms()
        return Span(now_ms - DAY_MS, now_ms + 1)

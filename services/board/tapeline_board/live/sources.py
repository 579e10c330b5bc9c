"""Sources of the pollers: run the query of a topic, and return what changed since the previous poll."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from tapeline.instrument import Instrument
from tapeline.records import candle

from tapeline_board.api.query_params import (
    ALL,
    DAY_MS,
    Filters,
    Span,
    aligned_window,
    latest_minutes,
)
from tapeline_board.api.schemas.common import ApiModel, EventName
from tapeline_board.api.schemas.market import CandlesResponse, MarketResponse, TapeResponse
from tapeline_board.live.poller import PollSource
from tapeline_board.panels import candles, tape
from tapeline_board.panels.market_state import MarketState
from tapeline_board.panels.reader import Reader
from tapeline_board.settings import Settings

T = TypeVar("T", bound=ApiModel)
_SPAN: Final = {"from_at", "to_at"}


@dataclass(frozen=True, slots=True)
class Topic:
    """What a poller queries; equal topics share one poller."""

    event: EventName
    filters: Filters = ALL
    window_ms: int = 0
    instrument: Instrument | None = None
    """Of the candles; None for every other event."""


class QuerySource(Generic[T]):
    """Repeats one query; every change is a new snapshot."""

    def __init__(self, fetch: Callable[[], Awaitable[T]]) -> None:
        self._fetch = fetch
        self._response: T | None = None

    async def poll(self) -> T | None:
        """Return the response if it differs from the previous one, its span aside."""
        now = await self._fetch()
        before, self._response = self._response, now
        is_same = before is not None and before.model_dump(exclude=_SPAN) == now.model_dump(exclude=_SPAN)
        return None if is_same else now

    def snapshot(self) -> T | None:
        """Return the last response."""
        return self._response


class TapeSource:
    """The newest trades; a delta has the trades that arrived since the previous poll."""

    def __init__(self, reader: Reader, filters: Filters) -> None:
        self._reader, self._filters = reader, filters
        self._response: TapeResponse | None = None

    async def poll(self) -> TapeResponse | None:
        """Return the new trades."""
        now = await self._reader.tape(self._filters)
        before, self._response = self._response, now
        return now if before is None else tape.new_trades(before, now)

    def snapshot(self) -> TapeResponse | None:
        """Return the newest trades."""
        return self._response


class CandleSource:
    """One instrument's candles; a delta has the candles that were written since the previous poll."""

    def __init__(self, reader: Reader, instrument: Instrument) -> None:
        self._reader, self._instrument = reader, instrument
        self._changes = candles.CandleChanges()
        self._has_polled = False

    async def poll(self) -> CandlesResponse | None:
        """Return the candles that changed."""
        since_ms = self._changes.written_ms
        if since_ms:
            found = await self._reader.changed_candles(self._instrument, since_ms)
        else:
            found = await self._reader.recent_candles(self._instrument)
        is_first, self._has_polled = not self._has_polled, True
        fresh = self._changes.update(found)
        if is_first or not since_ms:
            return self.snapshot() if fresh or is_first else None
        return candles.candles_response(self._instrument, fresh, self._changes.recent()[0]) if fresh else None

    def snapshot(self) -> CandlesResponse | None:
        """Return the newest candles."""
        return candles.candles_response(self._instrument, self._changes.recent()) if self._has_polled else None


class MarketSource:
    """The six views: refreshes the full span now and then, and its newest buckets with each poll."""

    def __init__(self, reader: Reader, settings: Settings, filters: Filters, window_ms: int) -> None:
        self._reader, self._settings, self._filters, self._window_ms = reader, settings, filters, window_ms
        self._state: MarketState | None = None
        self._refresh_due_s = 0.0

    async def poll(self) -> MarketResponse | None:
        """Return the buckets that changed, or all of them after a full refresh."""
        now_ms = self._reader.clock_ms()
        span, loop = aligned_window(now_ms, self._window_ms), asyncio.get_running_loop()
        start_s = loop.time()
        if self._state is None or start_s >= self._refresh_due_s:
            self._state = await self._reader.market(self._filters, span)
            took_s = loop.time() - start_s
            pause_s = max(self._settings.market_refresh_s, 10 * self._settings.idle_ratio * took_s)
            self._refresh_due_s = loop.time() + pause_s
            return self._state.snapshot()
        return await self._poll_newest(self._state, span, now_ms)

    async def _poll_newest(self, state: MarketState, span: Span, now_ms: int) -> MarketResponse | None:
        overlap_ms = round(self._settings.market_overlap_s * 1000)
        from_ms = max(span.from_ms, (now_ms - overlap_ms) // state.interval_ms * state.interval_ms)
        part = Span(from_ms, span.to_ms)
        newer = await self._reader.market_buckets(self._filters, part, state.interval_ms, state.ranking.instruments)
        if not state.ranking.is_truncated and newer.has_others():
            # An instrument without trades at the last full refresh.
            self._refresh_due_s = 0.0
        return state.merge(span, from_ms, newer)

    def snapshot(self) -> MarketResponse | None:
        """Return all buckets."""
        return None if self._state is None else self._state.snapshot()


class SourceFactory:
    """Makes the source of any topic."""

    def __init__(self, reader: Reader, settings: Settings) -> None:
        self._reader, self._settings = reader, settings

    def poll_s(self, event: EventName) -> float:
        """Return the poll interval of an event's topics."""
        return self._settings.poll_s if event in ("tape", "candle", "market") else self._settings.slow_poll_s

    def make(self, topic: Topic) -> PollSource:
        """Return a new source.

        Raises:
            ValueError: the event has no source, or the topic of candles no instrument.
        """
        reader, filters = self._reader, topic.filters
        if topic.event == "candle" and topic.instrument is not None:
            return CandleSource(reader, topic.instrument)
        makers: dict[EventName, Callable[[], PollSource]] = {
            "symbols": lambda: QuerySource(reader.symbols),
            "tape": lambda: TapeSource(reader, filters),
            "market": lambda: MarketSource(reader, self._settings, filters, topic.window_ms),
            "model": lambda: QuerySource(reader.model),
            "reconciliation": lambda: QuerySource(lambda: self._reconciliation(topic)),
            "alerts": lambda: QuerySource(lambda: reader.alerts(filters, self._last_day())),
        }
        if topic.event not in makers:
            raise ValueError(f"event was {topic.event!r}; there are sources for {sorted(makers)}")
        return makers[topic.event]()

    async def _reconciliation(self, topic: Topic) -> ApiModel:
        minutes = -(-topic.window_ms // candle.MINUTE_MS)
        return await self._reader.reconciliation(topic.filters, latest_minutes(self._reader.clock_ms(), minutes))

    def _last_day(self) -> Span:
        now_ms = self._reader.clock_ms()
        return Span(now_ms - DAY_MS, now_ms + 1)

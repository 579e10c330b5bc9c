"""Query parameters: time spans and filters, validated, and as clauses of an Elasticsearch query. Pure.

To add a filter: a field of TradeQuery and its clause in `Filters.clauses`.
"""

from dataclasses import dataclass
from itertools import groupby
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from tapeline.enums import MarketType, PredictionState, Side
from tapeline.instrument import VENUE_PATTERN, Instrument
from tapeline.records import candle
from tapeline.records.fields import EpochMs

from tapeline_board.api.schemas.common import EventName
from tapeline_board.errors import InvalidQuery

INSTRUMENTS_MAX: Final = 12
"""Most instruments that are shown side by side."""
BUCKETS_MAX: Final = 240
MINUTES_MAX: Final = 1_500
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
WINDOW_MS: Final = 15 * candle.MINUTE_MS
_STEPS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400)

Clause = dict[str, Any]
_FORM: Final = "venue:market_type:symbol, such as bybit:spot:BTCUSDT"
_NOT_PARAMETERS: Final = {
    "symbol": "instrument",
    "chart_symbol": "chart_instrument",
    "chart_market_type": "chart_instrument",
}


def _instrument_text(text: str) -> str:
    try:
        return str(Instrument.parse(text))
    except ValueError:
        # The error of the library repeats the text of the client.
        raise ValueError(f"must be {_FORM}") from None


_InstrumentText = Annotated[str, AfterValidator(_instrument_text)]
_Instruments = Annotated[list[_InstrumentText], Field(max_length=INSTRUMENTS_MAX)]
_Venue = Annotated[str, Field(pattern=VENUE_PATTERN)]


@dataclass(frozen=True, slots=True)
class Span:
    """A time span, ms UTC, its end exclusive."""

    from_ms: int
    to_ms: int

    def clause(self, field: str = "@timestamp") -> Clause:
        """Return the query clause for documents in the span."""
        # The format is explicit: a field of another format would read a bare number as a year.
        return {"range": {field: {"gte": self.from_ms, "lt": self.to_ms, "format": "epoch_millis"}}}


@dataclass(frozen=True, slots=True)
class Filters:
    """Filters of trades; None and empty: all. A document must match each of them."""

    instruments: tuple[Instrument, ...] = ()
    venue: str | None = None
    market_type: MarketType | None = None
    side: Side | None = None
    prediction: int | None = None
    state: PredictionState | None = None

    def clauses(self) -> list[Clause]:
        """Return the query clauses of matching trades."""
        wanted: dict[str, str | int | None] = {"venue": self.venue, "market_type": self.market_type, "side": self.side}
        wanted |= {"prediction": self.prediction, "prediction_state": self.state}
        found: list[Clause] = [{"term": {field: value}} for field, value in wanted.items() if value is not None]
        return found + ([_instruments_clause(self.instruments)] if self.instruments else [])

    def instrument_filters(self) -> "Filters":
        """Return the filters without fields that only trades have: for candles, reconciliation, gaps and alerts."""
        return Filters(self.instruments, self.venue, self.market_type)


def _instruments_clause(instruments: tuple[Instrument, ...]) -> Clause:
    """Return the clause for documents of any of some instruments: a symbol counts only with its venue and type."""
    groups = groupby(sorted(instruments), lambda one: (one.venue, one.market_type))
    markets = [
        [{"term": {"venue": venue}}, {"term": {"market_type": kind}}, {"terms": {"symbol": [i.symbol for i in group]}}]
        for (venue, kind), group in groups
    ]
    return {"bool": {"should": [{"bool": {"filter": market}} for market in markets], "minimum_should_match": 1}}


ALL: Final = Filters()


def interval_ms(span: Span) -> int:
    """Return the shortest bucket of a round length with which a span has at most BUCKETS_MAX.

    A span need not begin where a bucket does, so one bucket more than fits by length may begin in the span.
    """
    length_ms = span.to_ms - span.from_ms
    return next(step * 1000 for step in _STEPS_S if length_ms <= (BUCKETS_MAX - 1) * step * 1000)


def aligned_window(now_ms: int, window_ms: int) -> Span:
    """Return the window that ends now and begins where a bucket of its interval does."""
    step = interval_ms(Span(0, window_ms))
    return Span((now_ms - window_ms) // step * step, now_ms + 1)


def latest_minutes(now_ms: int, minutes: int) -> Span:
    """Return the span of so many whole minutes, the current one included."""
    end_ms = now_ms // candle.MINUTE_MS * candle.MINUTE_MS + candle.MINUTE_MS
    return Span(end_ms - minutes * candle.MINUTE_MS, end_ms)


class _QueryParams(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _no_symbol_alone(cls, values: Any) -> Any:
        for name, other in _NOT_PARAMETERS.items():
            if isinstance(values, dict) and name in values:
                raise ValueError(f"{name} names no instrument; use {other}={_FORM}")
        return values


class SpanQuery(_QueryParams):
    """Base of queries with a time span; by default the last 15 minutes."""

    from_: Annotated[EpochMs | None, Field(alias="from")] = None
    to: EpochMs | None = None

    def span(self, now_ms: int, longest_ms: int = 232 * DAY_MS) -> Span:
        """Return the requested span.

        Raises:
            InvalidQuery: it ends before it begins, or is too long.
        """
        to_ms = now_ms + 1 if self.to is None else self.to
        from_ms = to_ms - WINDOW_MS if self.from_ is None else self.from_
        if not 0 < to_ms - from_ms <= longest_ms:
            raise InvalidQuery(f"`from` must be before `to`, and no more than {longest_ms // HOUR_MS} h before it")
        return Span(from_ms, to_ms)


class ChartQuery(SpanQuery):
    """Parameters of the chart: one instrument."""

    instrument: _InstrumentText

    def one(self) -> Instrument:
        """Return the instrument."""
        return Instrument.parse(self.instrument)


class _InstrumentParams(_QueryParams):
    instrument: _Instruments = []
    venue: _Venue | None = None
    market_type: MarketType | None = None

    def filters(self) -> Filters:
        """Return the filters, equal for equal queries."""
        return Filters(_distinct(self.instrument), self.venue, self.market_type)


class _TradeParams(_InstrumentParams):
    side: Side | None = None
    prediction: Annotated[int | None, Field(ge=0, le=1)] = None
    state: PredictionState | None = None

    def filters(self) -> Filters:
        """Return the filters, equal for equal queries."""
        trades = (self.side, self.prediction, self.state)
        return Filters(_distinct(self.instrument), self.venue, self.market_type, *trades)


def _distinct(texts: list[str]) -> tuple[Instrument, ...]:
    return tuple(sorted({Instrument.parse(text) for text in texts}))


class InstrumentQuery(_InstrumentParams, SpanQuery):
    """Parameters of reconciliation, gaps and alerts."""


class TradeQuery(_TradeParams, SpanQuery):
    """Parameters of trades."""


class TapeQuery(TradeQuery):
    """Parameters of the newest trades; without `from` and `to`, of any time."""

    limit: Annotated[int, Field(ge=1, le=500)] = 100


class StreamQuery(_TradeParams):
    """Parameters of a stream; its window ends now and moves."""

    window_ms: Annotated[int, Field(ge=candle.MINUTE_MS, le=DAY_MS)] = WINDOW_MS
    """Length of the six views and of reconciliation."""
    chart_instrument: _InstrumentText | None = None
    """Instrument of the candles; None: no candles."""
    events: Annotated[list[EventName], Field(max_length=16)] = []
    """Events beside `status`; empty: all."""

    def chart(self) -> Instrument | None:
        """Return the instrument of the candles."""
        return None if self.chart_instrument is None else Instrument.parse(self.chart_instrument)

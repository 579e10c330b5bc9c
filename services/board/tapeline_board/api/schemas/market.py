"""What the page is told: one model for every answer and every event, from which the front end's types are written.

Times are ms UTC and end in `at`, `from` or `to`; lists are bounded and say so with `is_cut`; a number that nobody knows
is null, never zero. What is told of the model and of the books: judgement_schemas.py. `/openapi.json` describes all.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model
from tapeline.records import candle

MarketType = Literal["spot", "linear"]
Side = Literal["Buy", "Sell"]
PredictionState = Literal["ok", "warming_up", "late", "model_unavailable", "model_expired", "invalid_features"]
EventName = Literal["status", "symbols", "tape", "candle", "market", "model", "completeness", "alerts", "failed"]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Told(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Refusal(Told):
    """Body of every answer that is none: 4xx and 5xx."""

    error: str
    """For programs: `elasticsearch_away`, `elasticsearch_slow`, `invalid_query`, `too_many_clients`, `not_found`."""
    message: str
    """For people."""


class SymbolRow(Told):
    """One symbol in the last hour."""

    market_type: MarketType
    symbol: str
    last_price: float | None
    change_bp: float | None
    """Last price against the first one of the span, basis points."""
    trades: Count
    notional: float
    """Quote."""
    buy_share: Share | None
    """Of the volume, by takers."""
    traded_at: int | None
    """Newest trade; null where there was none in the last minutes."""
    probability: Share | None
    """Of the newest trade: that the next different price is higher."""
    prediction: Literal[0, 1] | None
    state: PredictionState | None
    """Of the newest trade; null where there was none in the last minutes."""


class SymbolsAnswer(Told):
    """GET /api/symbols, event `symbols`: most trades first."""

    from_at: int
    to_at: int
    symbols: list[SymbolRow]
    is_cut: bool


def _candle_row() -> type[Told]:
    """Return the model of one candle: the names of the document, `at` for its minute, without the rolling windows."""
    number: Any = (float | None, None)
    fields: dict[str, Any] = {"at": (int, ...)}
    fields |= dict.fromkeys(candle.PRICES, (float, ...))
    fields |= {"volume": (float, ...), "notional": (float, ...)}
    fields |= {"buy_volume": (float, ...), "buy_share": number}
    fields |= dict.fromkeys(("trades", "late_trades", "missed_trades"), (int, ...))
    fields |= dict.fromkeys(("is_quiet", "is_closed"), (bool, ...))
    fields |= dict.fromkeys(candle.INDICATORS, number)
    fields |= {"updated_at": (int, ...)}
    return create_model("CandleRow", __base__=Told, __doc__="One minute of one symbol.", __module__=__name__, **fields)


CandleRow: Final = _candle_row()
"""at, open, high, low, close, vwap, volume, notional, buy_volume, buy_share|null, trades, late_trades, missed_trades,
is_quiet, is_closed, the ten indicators of candle.INDICATORS (each null while it warms up), updated_at."""


class WindowFigures(Told):
    """One rolling window that ends with the newest candle."""

    window: Literal["1m", "5m", "15m", "1h"]
    return_bp: float | None
    volatility_bp: float | None
    volume: float | None
    trades_per_s: float | None
    imbalance: float | None


class CandlesAnswer(Told):
    """GET /api/candles and event `candle`, oldest first.

    The event brings the candles that were written since the last one; put each in the place of its `at`. With
    `is_whole` it is all there is to know at the start of a stream: the last few candles.
    """

    market_type: MarketType
    symbol: str
    candles: list[CandleRow]  # type: ignore[valid-type]  # made from the table of the library
    windows: list[WindowFigures]
    """Of the newest candle; empty where there is none."""
    is_cut: bool
    """More candles than the limit: these are the newest of them."""
    is_whole: bool = True


class Marker(Told):
    """What was predicted in one minute of one symbol, and how it turned out as far as that is known."""

    at: int
    predictions: Count
    """Trades in state `ok`."""
    ups: Count
    """Of them with prediction 1."""
    mean_probability: Share | None
    scored: Count
    """Of them, those whose outcome is known."""
    hits: Count
    """Of those, the right ones."""


class MarkersAnswer(Told):
    """GET /api/markers: minutes with at least one prediction, oldest first."""

    market_type: MarketType
    symbol: str
    markers: list[Marker]
    is_cut: bool


class MarketSeries(Told):
    """One symbol over time: columns of equal length, one entry for each bucket with a trade, oldest first.

    Medians are of this symbol alone. Quantities are sums in base; the mean quantity of a prediction is
    quantity / trades. `up` is prediction 1, `down` prediction 0; trades without one are in neither.
    """

    market_type: MarketType
    symbol: str
    at: list[int]
    """Starts of the buckets."""
    trades: list[int]
    price: list[float]
    """Median."""
    buy_trades: list[int]
    sell_trades: list[int]
    buy_price: list[float | None]
    """Median of what takers bought; null where they bought nothing."""
    sell_price: list[float | None]
    buy_quantity: list[float]
    sell_quantity: list[float]
    up_trades: list[int]
    down_trades: list[int]
    up_price: list[float | None]
    down_price: list[float | None]
    up_quantity: list[float]
    down_quantity: list[float]


class MarketTotal(Told):
    """One symbol over the whole span; sums of its buckets."""

    market_type: MarketType
    symbol: str
    trades: Count
    buy_trades: Count
    sell_trades: Count
    buy_quantity: float
    sell_quantity: float
    up_trades: Count
    down_trades: Count
    up_quantity_mean: float | None
    """Base a trade, of those with prediction 1; null without any."""
    down_quantity_mean: float | None
    other_quantity_mean: float | None
    """Of those without a prediction."""


class MarketAnswer(Told):
    """GET /api/market and event `market`: the six views.

    1 price by symbol: series.price; 2 buying and selling: series.buy_price, sell_price; 3 share of buyers: buy_trades
    and sell_trades; 4 most active: totals; 5 volume by prediction: totals.*_quantity_mean; 6 price against prediction:
    series.up_price, down_price.

    An event with `is_whole` false holds in `series` only the buckets that changed since the one before: put each in the
    place of its `at`, and drop buckets before `from_at`. `totals` is always whole.
    """

    from_at: int
    to_at: int
    interval_ms: int
    """Length of a bucket; its start is a multiple of it."""
    trades: Count
    """All that fit the filters, those of symbols that are not shown too."""
    buy_trades: Count
    sell_trades: Count
    series: list[MarketSeries]
    totals: list[MarketTotal]
    """Most trades first; the symbols of `series`."""
    is_cut: bool
    """There are more symbols than are shown."""
    is_whole: bool = True


class TapeTrade(Told):
    """One trade."""

    market_type: MarketType
    symbol: str
    trade_id: str
    traded_at: int
    indexed_at: int
    price: str
    """The exchange's own digits, and so is `quantity`."""
    quantity: str
    side: Side
    source: Literal["stream", "backfill"]
    probability: Share | None
    prediction: Literal[0, 1] | None
    state: PredictionState
    model_digest: str | None


class TapeAnswer(Told):
    """GET /api/tape and event `tape`: newest first.

    The event brings those that were not in the one before, unless it `is_whole`.
    """

    trades: list[TapeTrade]
    is_cut: bool
    """There are more that fit; an event: more came since the last one than are shown."""
    is_whole: bool = True


class StatusAnswer(Told):
    """GET /api/status and event `status`: first of every stream, then whenever it changes."""

    at: int
    """By the server's clock."""
    elasticsearch: Literal["ok", "away"]
    reason: str | None
    """Why it is away, for people."""
    since_at: int
    """When it became what it is."""


class FailedAnswer(Told):
    """Event `failed`: one of the others could not be asked for; the next event of that name says that it can again."""

    event: EventName
    error: str
    """As in Refusal, such as `elasticsearch_slow`."""
    message: str

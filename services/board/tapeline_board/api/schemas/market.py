"""Schemas of symbols, candles, prediction markers, the six market views and the tape."""

from typing import Any, Final, Literal

from pydantic import create_model
from tapeline.enums import PredictionState, Side, TradeSource
from tapeline.records import candle

from tapeline_board.api.schemas.common import ApiModel, Count, InstrumentRow, Share


class SymbolRow(InstrumentRow):
    """One instrument in the last hour."""

    last_price: float | None
    change_bp: float | None
    """Last price relative to the first one of the span, basis points."""
    trades: Count
    notional: float
    """Quote."""
    buy_share: Share | None
    """Share of the volume that takers bought."""
    traded_at: int | None
    """Newest trade; null without a trade in the last minutes."""
    probability: Share | None
    """Of the newest trade: that the next different price is higher."""
    prediction: Literal[0, 1] | None
    state: PredictionState | None
    """Of the newest trade; null without a trade in the last minutes."""


class SymbolsResponse(ApiModel):
    """GET /api/symbols, event `symbols`: most trades first."""

    from_at: int
    to_at: int
    symbols: list[SymbolRow]
    is_truncated: bool


def _candle_row() -> type[ApiModel]:
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
    doc = "One minute of one instrument."
    return create_model("CandleRow", __base__=ApiModel, __doc__=doc, __module__=__name__, **fields)


CandleRow: Final = _candle_row()
"""at, open, high, low, close, vwap, volume, notional, buy_volume, buy_share|null, trades, late_trades, missed_trades,
is_quiet, is_closed, the ten indicators of candle.INDICATORS (each null while it warms up), updated_at."""


class RollingWindow(ApiModel):
    """Statistics of one rolling window that ends with the newest candle."""

    window: Literal["1m", "5m", "15m", "1h"]
    return_bp: float | None
    volatility_bp: float | None
    volume: float | None
    trades_per_s: float | None
    imbalance: float | None


class CandlesResponse(InstrumentRow):
    """GET /api/candles and event `candle`, oldest first.

    An event contains the candles that were written since the previous event; replace candles by `at`. An event with
    `is_snapshot` is the initial state of a stream: the last few candles.
    """

    candles: list[CandleRow]  # type: ignore[valid-type]  # made from the table of the library
    windows: list[RollingWindow]
    """Of the newest candle; empty without candles."""
    is_truncated: bool
    """There are more candles than the limit: these are the newest ones."""
    is_snapshot: bool = True


class Marker(ApiModel):
    """Predictions of one instrument in one minute, and their outcomes as far as they are known."""

    at: int
    predictions: Count
    """Trades in state `ok`."""
    ups: Count
    """Predictions of 1."""
    mean_probability: Share | None
    scored: Count
    """Predictions with a known outcome."""
    hits: Count
    """Scored predictions that were right."""


class MarkersResponse(InstrumentRow):
    """GET /api/markers: minutes with at least one prediction, oldest first."""

    markers: list[Marker]
    is_truncated: bool


class MarketSeries(InstrumentRow):
    """One instrument over time: columns of equal length, one entry for each bucket with a trade, oldest first.

    Medians are of this instrument alone. Quantities are sums in base; the mean quantity of a prediction is
    quantity / trades. `up` is prediction 1, `down` prediction 0; trades without a prediction are in neither.
    """

    at: list[int]
    """Starts of the buckets."""
    trades: list[int]
    price: list[float]
    """Median."""
    buy_trades: list[int]
    sell_trades: list[int]
    buy_price: list[float | None]
    """Median price of taker buys; null without any."""
    sell_price: list[float | None]
    buy_quantity: list[float]
    sell_quantity: list[float]
    up_trades: list[int]
    down_trades: list[int]
    up_price: list[float | None]
    down_price: list[float | None]
    up_quantity: list[float]
    down_quantity: list[float]


class MarketTotal(InstrumentRow):
    """One instrument over the entire span; sums of its buckets."""

    trades: Count
    buy_trades: Count
    sell_trades: Count
    buy_quantity: float
    sell_quantity: float
    up_trades: Count
    down_trades: Count
    up_quantity_mean: float | None
    """Base a trade, of trades with prediction 1; null without any."""
    down_quantity_mean: float | None
    other_quantity_mean: float | None
    """Of trades without a prediction."""


class MarketResponse(ApiModel):
    """GET /api/market and event `market`: the six views.

    1 price by instrument: series.price; 2 buying and selling: series.buy_price, sell_price; 3 share of buyers:
    buy_trades and sell_trades; 4 most active: totals; 5 volume by prediction: totals.*_quantity_mean; 6 price and
    prediction: series.up_price, down_price.

    An event with `is_snapshot` false is a delta: `series` has only the buckets that changed since the previous event.
    Replace buckets by `at`, and drop buckets before `from_at`. `totals` is always complete.
    """

    from_at: int
    to_at: int
    interval_ms: int
    """Length of a bucket; its start is a multiple of it."""
    trades: Count
    """All that match the filters, trades of instruments that are not shown included."""
    buy_trades: Count
    sell_trades: Count
    series: list[MarketSeries]
    totals: list[MarketTotal]
    """Most trades first; the instruments of `series`."""
    is_truncated: bool
    """There are more instruments than are shown."""
    is_snapshot: bool = True


class TapeTrade(InstrumentRow):
    """One trade."""

    trade_id: str
    traded_at: int
    indexed_at: int
    price: str
    """In the exchange's own digits, and so is `quantity`."""
    quantity: str
    side: Side
    source: TradeSource
    probability: Share | None
    prediction: Literal[0, 1] | None
    state: PredictionState
    model_digest: str | None


class TapeResponse(ApiModel):
    """GET /api/tape and event `tape`: newest first.

    An event contains the trades that were not in the previous one, unless `is_snapshot`.
    """

    trades: list[TapeTrade]
    is_truncated: bool
    """More trades match than are listed; in an event: more trades arrived since the previous event than are listed."""
    is_snapshot: bool = True

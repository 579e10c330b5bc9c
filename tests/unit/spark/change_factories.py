"""Made trades, candles and changes, and a plain loop that scores predictions."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from tapeline import names
from tapeline.instrument import Instrument, instrument_of
from tapeline.records.gap import Gap, GapTimes
from tapeline_spark.candles.listener import Candle, Changes, LogClock, LogRow, ProducerRecords
from tapeline_spark.evaluation.scores import Rows

MINUTE_MS = 60_000
START = 1_790_000_040_000
INSTRUMENT = instrument_of("bybit", "spot", "BTCUSDT")


class GapEnds(NamedTuple):
    """A gap by the times of its end trades."""

    from_traded_at: int
    to_traded_at: int


class PredictedTrade(NamedTuple):
    """A trade with its prediction."""

    at_ms: int
    price: float
    is_buy: bool = True
    probability: float | None = None
    prediction: int = 0
    model: str | None = None


def rows(trades: Sequence[PredictedTrade]) -> Rows:
    return Rows(
        np.array([one.at_ms for one in trades], dtype=np.int64),
        np.array([one.price for one in trades]),
        np.array([one.is_buy for one in trades]),
        np.array([np.nan if one.probability is None else one.probability for one in trades]),
        np.array([one.prediction for one in trades], dtype=np.int64),
        [one.model for one in trades],
    )


def scored_by_hand(trades: Sequence[PredictedTrade], start_ms: int, model: str, gaps: Sequence[GapTimes] = ()) -> Any:
    """Return (predictions, hits, ups, brier sum, pending) of one minute, trade by trade."""
    predictions = hits = ups = pending = 0
    brier = 0.0
    for place, one in enumerate(trades):
        if one.model != model or one.probability is None or not start_ms <= one.at_ms < start_ms + MINUTE_MS:
            continue
        outcome = None
        for before, after in zip(trades[place:], trades[place + 1 :], strict=False):
            if any(before.at_ms <= gap.to_traded_at and after.at_ms >= gap.from_traded_at for gap in gaps):
                break
            if after.price != one.price:
                outcome = after.price > one.price
                break
        if outcome is None:
            pending += 1
            continue
        predictions += 1
        hits += one.prediction == outcome
        ups += outcome
        brier += (one.probability - outcome) ** 2
    return predictions, hits, ups, brier, pending


def candle(minute_ms: int, trades: int, logged: int | None = None, **changes: Any) -> Candle:
    prices = dict.fromkeys(("open", "high", "low", "close", "vwap"), 1.0)
    sums = dict.fromkeys(("volume", "notional", "buy_volume"), 1.0)
    fields: dict[str, Any] = {
        **prices, **sums, "minute_ms": minute_ms, "trades": trades, "late_trades": 0, "missed_trades": 0,
        "logged": trades if logged is None else logged, "is_quiet": not trades, "is_closed": True, "history": 9,
    }  # fmt: skip
    return Candle(**{**fields, **changes})


def changed(
    newest_ms: int, *candles: Candle, rows: Sequence[LogRow] = (), instrument: Instrument = INSTRUMENT, **more: Any
) -> Changes:
    return Changes(
        clocks=more.pop("clocks", {instrument.venue: LogClock(newest_ms, True)}),
        candles={instrument: {one.minute_ms: one for one in candles}} if candles else {},
        missed=more.pop("missed", {}),
        last_traded_ms={},
        producer_records=reported(rows),
        **more,
    )


def reported(rows: Sequence[LogRow]) -> ProducerRecords:
    """Return rows of the topics with the usual names by what they are."""
    topics = names.TOPIC_COUNTS, names.TOPIC_GAPS, names.TOPIC_REJECTS
    assert {one.topic for one in rows} <= set(topics)
    return ProducerRecords(*(tuple(one for one in rows if one.topic == topic) for topic in topics))


def row(topic: str, value: bytes, instrument: Instrument = INSTRUMENT) -> LogRow:
    return LogRow(topic, 0, 0, instrument.symbol, value, START)


def counted(
    minute_ms: int,
    received: int,
    produced: int,
    producer: str = "p.0",
    at_ms: int = START,
    instrument: Instrument = INSTRUMENT,
) -> LogRow:
    numbers = {"received": received, "duplicates": 0, "produced": produced, "counted_at": at_ms}
    fields = {"producer": producer, "minute": minute_ms, **instrument_fields(instrument), **numbers}
    return row(names.TOPIC_COUNTS, json.dumps(fields).encode(), instrument)


def gap_row(from_ms: int, to_ms: int, to_id: str = "t2", instrument: Instrument = INSTRUMENT) -> LogRow:
    gap = Gap(
        **instrument_fields(instrument), reason="restart", detected_at=to_ms, from_traded_at=from_ms,
        from_trade_id="t1", to_traded_at=to_ms, to_trade_id=to_id, backfilled=0,
    )  # fmt: skip
    return row(names.TOPIC_GAPS, gap.model_dump_json().encode(), instrument)


def instrument_fields(instrument: Instrument) -> dict[str, Any]:
    return {"venue": instrument.venue, "market_type": instrument.market_type, "symbol": instrument.symbol}

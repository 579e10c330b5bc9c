"""Documents as the stream and the trainer write them, small enough to verify by hand."""

import random
from typing import Any

from tapeline.enums import MarketType, PredictionState
from tapeline.instrument import Instrument
from tapeline.records import candle, score

Document = dict[str, Any]
INSTRUMENT = Instrument("bybit", MarketType.SPOT, "BTCUSDT")
"""Of every document that names no other one."""
ELSEWHERE = Instrument("other", MarketType.SPOT, "BTCUSDT")
"""The same symbol and market type at another venue."""
LINEAR = Instrument("bybit", MarketType.LINEAR, "BTCUSDT")
START_MS = 1_700_000_040_000
"""Start of a minute."""
DIGEST = "d" * 64


def trade(number: int, at_ms: int, price: float = 100.0, quantity: float = 1.0, **more: Any) -> Document:
    """Return a stored trade: a buy without a prediction, by default."""
    document: Document = {
        **fields_of(INSTRUMENT),
        "trade_id": str(number),
        **{"@timestamp": at_ms, "traded_at": at_ms, "price": f"{price:.2f}", "quantity": f"{quantity:.3f}"},
        **{"quantity_unit": "base", "base_quantity": f"{quantity:.3f}", "base": "BTC", "quote": "USDT"},
        **{"side": "Buy", "sequence": number, "frame_index": 0, "is_block_trade": False, "is_rpi": False},
        **{"received_at": at_ms + 20, "produced_at": at_ms + 21, "source": "stream", "indexed_at": at_ms + 400},
        **{"probability": None, "prediction": None, "prediction_state": PredictionState.WARMING_UP},
        **{"model_digest": None, "feature_version": "1"},
    } | more
    document["is_buy"] = document["side"] == "Buy"
    if document["probability"] is not None:
        document |= {"prediction": int(document["probability"] >= 0.5), "prediction_state": PredictionState.OK}
        document["model_digest"] = DIGEST
    return document


def fields_of(instrument: Instrument) -> Document:
    """Return an instrument as the fields of a document."""
    return {"venue": instrument.venue, "market_type": instrument.market_type, "symbol": instrument.symbol}


def tape(instruments: list[Instrument], count: int, from_ms: int, to_ms: int, seed: int = 4) -> list[Document]:
    """Return trades of some instruments at random times, the first instruments the busiest."""
    rng = random.Random(seed)
    weights = [2.0 ** -(number / 3) for number in range(len(instruments))]
    found = []
    for number in range(count):
        place = rng.choices(range(len(instruments)), weights)[0]
        has_prediction = rng.random() < 0.8
        found.append(
            trade(
                number,
                rng.randrange(from_ms, to_ms),
                100.0 * (place + 1) + rng.randrange(-500, 500) / 100,
                rng.randrange(1, 5_000) / 1000,
                **fields_of(instruments[place]),
                side=rng.choice(("Buy", "Sell")),
                probability=rng.random() if has_prediction else None,
            )
        )
    return found


def candle_of(minute_ms: int, close: float, trades: int = 10, updated_at: int | None = None, **more: Any) -> Document:
    """Return the candle of one minute; its prices lie around `close`."""
    indicators = {name: close + number for number, name in enumerate(candle.INDICATORS)}
    return {
        **{"@timestamp": minute_ms, **fields_of(INSTRUMENT), "interval": "1m"},
        **{"open": close - 1, "high": close + 2, "low": close - 2, "close": close, "vwap": close - 0.5},
        **{"volume": 4.0, "notional": 400.0, "buy_volume": 3.0, "buy_share": 0.75},
        **{"trades": trades, "late_trades": 1, "missed_trades": 0, "is_quiet": False, "is_closed": True},
        **indicators,
        **{name: float(number) for number, name in enumerate(candle.windowed_fields())},
        "updated_at": minute_ms + 61_000 if updated_at is None else updated_at,
        **more,
    }


def score_of(minute_ms: int, predictions: int, hits: int, ups: int, **more: Any) -> Document:
    """Return the score of one minute; all predictions fall into bin 6, at 0.65."""
    bins = dict.fromkeys(score.bin_fields(), 0) | {"bin_6_predictions": predictions, "bin_6_ups": ups}
    sums = {f"bin_{number}_probability_sum": 0.0 for number in range(score.BINS)}
    return {
        **{"@timestamp": minute_ms, **fields_of(INSTRUMENT)},
        **{"model_digest": DIGEST, "predictions": predictions, "hits": hits, "ups": ups, "pending": 1},
        **{"brier_sum": 0.2 * predictions, "prior_brier_sum": 0.25 * predictions, "rule_hits": 0.5 * predictions},
        "probability_sum": 0.65 * predictions,
        **bins,
        **sums,
        "bin_6_probability_sum": 0.65 * predictions,
        "updated_at": minute_ms + 90_000,
        **more,
    }


def reconciliation_of(minute_ms: int, state: str, count: int = 10, **more: Any) -> Document:
    """Return the reconciliation of one minute with equal counts at every stage."""
    stages = ("received", "produced", "logged", "distinct", "indexed")
    return {
        **{"@timestamp": minute_ms, **fields_of(INSTRUMENT), "state": state},
        **dict.fromkeys(stages, count),
        **{"rejected": 0, "gaps": 0, "updated_at": minute_ms + 70_000},
        **more,
    }


def gap_of(from_ms: int, to_ms: int, **more: Any) -> Document:
    """Return a gap in the feed."""
    return {
        **{"@timestamp": to_ms, **fields_of(INSTRUMENT), "reason": "reconnect"},
        **{"detected_at": to_ms + 5, "from_traded_at": from_ms, "from_trade_id": "1", "to_traded_at": to_ms},
        **{"to_trade_id": "2", "backfilled": 3},
        **more,
    }


def alert_of(began_ms: int, number: int = 0, **more: Any) -> Document:
    """Return an alert of a rule."""
    return {
        **{"@timestamp": began_ms, "alert_id": f"move|bybit|spot|BTCUSDT|{began_ms}|{number}", "rule": "move"},
        **{"kind": "price_move", "severity": "warning", **fields_of(INSTRUMENT)},
        **{"model_digest": None, "value": 210.0, "threshold": 200.0, "unit": "bp"},
        **{"message": "BTCUSDT moved", "began_at": began_ms, "raised_at": began_ms + 900},
        **more,
    }


def training_run_of(at_ms: int, run_id: str = "run", **more: Any) -> Document:
    """Return what a training run has_prediction."""
    return {
        **{"@timestamp": at_ms, "run_id": run_id, "digest": DIGEST, "parent_digest": None, "promoted": True},
        **{"promoted_kind": "forest", "rollout": "settled", "reasons": ["better than the prior"]},
        **{"rows_train": 8_000, "rows_test": 2_000, "auc": 0.61, "mcc": 0.15, "brier": 0.24, "base_rate": 0.5},
        **{"brier_skill_vs_prior": 0.03, "brier_skill_vs_rule": 0.2},
        **more,
    }


def hits(*documents: Document) -> Document:
    """Return a response of Elasticsearch with these documents and no aggregations."""
    return {
        "timed_out": False,
        "hits": {"total": {"value": len(documents)}, "hits": [{"_source": d} for d in documents]},
    }

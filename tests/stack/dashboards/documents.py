"""Generates known documents for every view of the dashboards: from a seed, across an hour boundary, in four markets.

Three of the markets share a symbol, on spot and linear and at another venue, at different prices.
"""

import random
from typing import Any

from tapeline.enums import MarketType
from tapeline.instrument import Instrument

Document = dict[str, Any]

START_MS = 1_795_172_400_000 - 25 * 60_000
MINUTES = 40
END_MS = START_MS + MINUTES * 60_000
MARKETS = (
    (Instrument("bybit", MarketType.SPOT, "BTCUSDT"), 91_000.0),
    (Instrument("bybit", MarketType.LINEAR, "BTCUSDT"), 91_400.0),
    (Instrument("bybit", MarketType.SPOT, "DOGEUSDT"), 0.14225),
    (Instrument("other", MarketType.SPOT, "BTCUSDT"), 88_000.0),
)
_BUSY = tuple(instrument for instrument, _ in MARKETS[:2])
STATES = ("ok", "ok", "ok", "ok", "late", "warming_up", "model_unavailable")
DIGESTS = ("sha256:aaa", "sha256:bbb")


def fields_of(instrument: Instrument) -> Document:
    return {"venue": instrument.venue, "market_type": str(instrument.market_type), "symbol": instrument.symbol}


def minute_of(document: Document) -> int:
    return int(document["@timestamp"]) // 60_000 * 60_000


def trades(count: int = 900) -> list[Document]:
    chance, prices = random.Random(11), dict(MARKETS)
    documents = []
    for number in range(count):
        instrument, start = chance.choices(MARKETS, (5, 3, 2, 1))[0]
        price = prices[instrument] = prices[instrument] * (1 + chance.gauss(0, 0.0004))
        at = START_MS + number * (END_MS - START_MS) // count
        state, side = chance.choice(STATES), chance.choice(("Buy", "Sell"))
        probability = round(chance.uniform(0.2, 0.8), 4) if state == "ok" else None
        received = at + chance.randrange(20, 400)
        indexed = received + chance.randrange(30, 3_000)
        documents.append(
            {
                "@timestamp": at,
                **fields_of(instrument),
                "trade_id": str(number),
                "traded_at": at,
                "price": f"{price:.8f}",
                "quantity": (quantity := f"{chance.uniform(0.01, 3) * (1 if start > 1 else 1000):.4f}"),
                "quantity_unit": "base",
                "base_quantity": quantity,
                "side": side,
                "is_buy": side == "Buy",
                "frame_index": 0,
                "received_at": received,
                "produced_at": received + 1,
                "indexed_at": indexed,
                "delay_ms": indexed - at,
                "feed_ms": received - at,
                "own_ms": indexed - received,
                "source": chance.choices(("stream", "backfill"), (9, 1))[0],
                "probability": probability,
                "prediction": None if probability is None else int(probability > 0.5),
                "prediction_state": state,
                "model_digest": None if probability is None else DIGESTS[number > count // 2],
                "feature_version": "1",
            }
        )
    return documents


def candles() -> list[Document]:
    chance, documents = random.Random(12), []
    for instrument, start in MARKETS:
        close, closes = start, []
        for number in range(-40, MINUTES):
            opened, close = close, close * (1 + chance.gauss(0, 0.0008))
            closes.append(close)
            if number >= 0:
                documents.append(_candle(chance, instrument, number, opened, closes))
    return documents


def _candle(chance: random.Random, instrument: Instrument, number: int, opened: float, closes: list[float]) -> Any:
    close, volume, share = closes[-1], chance.uniform(1, 60), chance.random()
    last = closes[-20:]
    middle = sum(last) / len(last)
    width = 2 * (sum((each - middle) ** 2 for each in last) / len(last)) ** 0.5
    macd = sum(closes[-12:]) / 12 - sum(closes[-26:]) / 26
    warm = number >= 6
    windows = {
        f"{name}_{window}": chance.uniform(-1, 5) if name != "volume" else volume * minutes
        for window, minutes in {"1m": 1, "5m": 5, "15m": 15, "1h": 60}.items()
        for name in ("return_bp", "volatility_bp", "volume", "trades_per_s", "imbalance")
    }
    return {
        "@timestamp": START_MS + number * 60_000,
        **fields_of(instrument),
        "interval": "1m",
        "open": opened,
        "high": max(opened, close) * (1 + chance.uniform(0, 0.0004)),
        "low": min(opened, close) * (1 - chance.uniform(0, 0.0004)),
        "close": close,
        "vwap": (opened + close) / 2,
        "volume": volume,
        "notional": volume * close,
        "buy_volume": volume * share,
        "buy_share": share,
        "trades": chance.randrange(5, 300) * (3 if instrument in _BUSY else 1),
        "late_trades": chance.randrange(3),
        "missed_trades": chance.randrange(2),
        "is_quiet": False,
        "is_closed": True,
        "rsi_14": chance.uniform(20, 80) if warm else None,
        **{f"bollinger_{n}": v for n, v in (("upper", middle + width), ("middle", middle), ("lower", middle - width))},
        "macd": macd if warm else None,
        "macd_signal": macd * 0.8 if warm else None,
        "macd_histogram": macd * 0.2 if warm else None,
        **windows,
        "updated_at": END_MS,
    }


def scores() -> list[Document]:
    chance, documents = random.Random(13), []
    for instrument, _ in MARKETS:
        for number in range(MINUTES):
            bins: dict[str, float] = {}
            for each in range(10):
                count = chance.randrange(1, 30)
                bins[f"bin_{each}_predictions"] = count
                bins[f"bin_{each}_ups"] = min(count, round(count * (each + 0.5 + chance.gauss(0, 0.8)) / 10))
                bins[f"bin_{each}_probability_sum"] = count * (each + 0.5) / 10
            count = int(sum(value for name, value in bins.items() if name.endswith("predictions")))
            documents.append(
                {
                    "@timestamp": START_MS + number * 60_000,
                    **fields_of(instrument),
                    "model_digest": DIGESTS[number > MINUTES // 2],
                    "predictions": count,
                    "hits": round(count * chance.uniform(0.45, 0.65)),
                    "ups": int(sum(value for name, value in bins.items() if name.endswith("ups"))),
                    "pending": chance.randrange(3),
                    "brier_sum": count * chance.uniform(0.22, 0.26),
                    "prior_brier_sum": count * 0.25,
                    "rule_hits": float(round(count * chance.uniform(0.45, 0.6))),
                    "probability_sum": count * 0.5,
                    **bins,
                    "updated_at": END_MS,
                }
            )
    return documents


def reconciliation() -> list[Document]:
    chance, documents = random.Random(14), []
    for instrument, _ in MARKETS:
        for number in range(MINUTES):
            state = chance.choices(("complete", "gap", "incomplete", "open"), (20, 2, 1, 1))[0]
            count = chance.randrange(50, 500)
            documents.append(
                {
                    "@timestamp": START_MS + number * 60_000,
                    **fields_of(instrument),
                    "state": state,
                    "received": count,
                    "produced": count - chance.randrange(2),
                    "logged": count + chance.randrange(3),
                    "distinct": count,
                    "indexed": count - (7 if state == "incomplete" else 0),
                    "rejected": int(state == "incomplete"),
                    "gaps": int(state == "gap"),
                    "updated_at": END_MS,
                }
            )
    return documents


def gaps() -> list[Document]:
    return [
        {
            "@timestamp": START_MS + number * 300_000,
            "venue": "bybit",
            "market_type": "spot",
            "symbol": "BTCUSDT",
            "reason": ("reconnect", "restart")[number % 2],
            "detected_at": START_MS + number * 300_000,
            "from_traded_at": START_MS + number * 300_000 - 9_000,
            "from_trade_id": f"a{number}",
            "to_traded_at": START_MS + number * 300_000 - 2_000,
            "to_trade_id": f"b{number}",
            "backfilled": number,
        }
        for number in range(5)
    ]


def rejects() -> list[Document]:
    reasons = (("producer", "price was 'x'"), ("producer", "price was 'x'"), ("spark", "symbol was missing"))
    return [
        {"@timestamp": START_MS + n * 1000, "origin": origin, "reason": reason, "raw_base64": "eA==", "rejected_at": 1}
        for n, (origin, reason) in enumerate(reasons)
    ]


def alerts() -> list[Document]:
    return [
        {
            "@timestamp": START_MS + number * 60_000,
            "alert_id": f"move|BTCUSDT|{number}",
            "rule": "move",
            "kind": "price_move",
            "severity": ("warning", "critical")[number % 2],
            "venue": "bybit",
            "market_type": "spot",
            "symbol": "BTCUSDT",
            "value": 210.0,
            "threshold": 200.0,
            "unit": "bp",
            "message": f"BTCUSDT moved 2.1 % ({number})",
            "began_at": START_MS + number * 60_000,
            "raised_at": END_MS,
        }
        for number in range(4)
    ]


def evaluations() -> list[Document]:
    documents = []
    for number in range(6):
        promoted = number % 3 == 0
        documents.append(
            {
                "@timestamp": START_MS + number * 240_000,
                "digest": f"sha256:{number // 2}",
                "promoted_kind": "forest",
                "promoted": promoted,
                "rollout": "served" if promoted else "not_attempted",
                "reasons": ["better than the prior"] if promoted else ["worse than the champion", "too few rows"],
                "rows_train": 1_000 + number,
                "rows_test": 100,
                "brier": 0.24 + number / 1000,
                "brier_minus_prior": -0.01 + number / 1000,
                "auc": 0.55 + number / 100,
                "accuracy": 0.52 + number / 100,
            }
        )
    return documents


def every() -> dict[str, list[Document]]:
    """Return all documents by view."""
    makers = (trades, candles, scores, reconciliation, gaps, rejects, alerts, evaluations)
    return {maker.__name__: maker() for maker in makers}

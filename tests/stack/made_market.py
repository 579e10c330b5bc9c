"""Documents of a few symbols, as the platform would have written them: for tests of what shows them.

Nothing here is read by the tests as truth: they ask Elasticsearch. Times are the last minutes before now, so that the
page shows them as live; `Pump` goes on where `write` stopped.
"""

import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
import talib
from elasticsearch import Elasticsearch
from tapeline import names
from tapeline.instrument import Instrument, instrument_of
from tapeline.records import (
    alert,
    candle,
    reconciliation,
    score,
)
from tapeline.records.gap import Gap
from tapeline_spark.elastic import index_templates

DIGEST = "sha256:" + "3f9c2a71d8e45b06" * 4
SECOND_MS, MINUTE_MS = 1000, 60_000
Document = tuple[str, str | None, dict[str, Any]]


@dataclass
class Symbol:
    """One made symbol: where its price begins, its tick, how many trades a second it has."""

    market_type: str
    name: str
    price: float
    digits: int
    per_s: float
    mean_quantity: float
    number: int = 0
    trend: float = field(default=0.0)

    @property
    def instrument(self) -> Instrument:
        return instrument_of("bybit", self.market_type, self.name)


def symbols() -> list[Symbol]:
    return [
        Symbol("spot", "BTCUSDT", 64_250.0, 1, 2.2, 0.02),
        Symbol("linear", "BTCUSDT", 64_262.0, 1, 1.6, 0.05),
        Symbol("spot", "ETHUSDT", 3_121.4, 2, 1.3, 0.6),
        Symbol("spot", "SOLUSDT", 148.62, 2, 0.9, 9.0),
        Symbol("spot", "XRPUSDT", 0.5312, 4, 0.7, 900.0),
        Symbol("spot", "DOGEUSDT", 0.12874, 5, 0.5, 4_000.0),
        Symbol("spot", "PEPEUSDT", 0.0000098, 9, 0.3, 9e6),
        Symbol("linear", "LINKUSDT", 14.207, 3, 0.2, 40.0),
    ]


class MadeMarket:
    """A random walk for each symbol, with predictions that know a little."""

    def __init__(self, seed: int = 1) -> None:
        self.random = random.Random(seed)
        self.symbols = symbols()

    def trade(self, symbol: Symbol, at_ms: int, state: str = "ok") -> dict[str, Any]:
        """Return the next trade of a symbol."""
        draw = self.random
        symbol.trend = 0.97 * symbol.trend + draw.gauss(0, 0.25)
        step = 10.0**-symbol.digits
        ticks = round(draw.gauss(symbol.trend, 1.2) * max(1.0, symbol.price * 2e-5 / step))
        symbol.price = max(step, round(symbol.price + ticks * step, symbol.digits))
        symbol.number += 1
        is_ok = state == "ok"
        chance = min(0.97, max(0.03, 0.5 + 0.06 * symbol.trend + draw.gauss(0, 0.06)))
        is_buy = draw.random() < 0.5 + 0.1 * symbol.trend
        quantity = f"{draw.expovariate(1 / symbol.mean_quantity) + symbol.mean_quantity / 100:.6g}"
        return {
            "@timestamp": at_ms,
            **_fields(symbol.instrument),
            "trade_id": f"{at_ms}{symbol.number:07d}",
            "traded_at": at_ms,
            "price": f"{symbol.price:.{symbol.digits}f}",
            "quantity": quantity,
            "quantity_unit": "base",
            "base_quantity": quantity,
            "side": "Buy" if is_buy else "Sell",
            "is_buy": is_buy,
            "sequence": symbol.number,
            "frame_index": 0,
            "is_block_trade": False,
            "is_rpi": False,
            "received_at": at_ms + 35,
            "produced_at": at_ms + 36,
            "indexed_at": at_ms + 420,
            "source": "stream",
            "probability": round(chance, 4) if is_ok else None,
            "prediction": int(chance >= 0.5) if is_ok else None,
            "prediction_state": state,
            "model_digest": DIGEST if is_ok else None,
            "feature_version": "1",
        }

    def between(self, from_ms: int, to_ms: int) -> Iterator[dict[str, Any]]:
        """Yield the trades of all symbols of some time, in its order; the first few have no prediction."""
        for at_ms in range(from_ms, to_ms, SECOND_MS):
            for symbol in self.symbols:
                for _ in range(self._poisson(symbol.per_s)):
                    state = "ok" if symbol.number >= 40 and self.random.random() > 0.01 else "warming_up"
                    yield self.trade(symbol, at_ms + self.random.randrange(SECOND_MS), state)

    def _poisson(self, mean: float) -> int:
        limit, product, number = np.exp(-mean), self.random.random(), 0
        while product > limit:
            product *= self.random.random()
            number += 1
        return number


def trade_documents(trades: Iterable[dict[str, Any]]) -> Iterator[Document]:
    for one in trades:
        identity = names.identity(one["venue"], one["market_type"], one["symbol"], one["trade_id"])
        yield names.index_for_trade(one["traded_at"]), identity, one


def candle_documents(trades: list[dict[str, Any]], from_ms: int, to_ms: int, now_ms: int) -> Iterator[Document]:
    """Yield a candle a minute and symbol, quiet ones carried, with the indicators of their closes."""
    for instrument, own in _by_instrument(trades).items():
        minutes: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for one in sorted(own, key=lambda row: row["traded_at"]):
            minutes[one["traded_at"] // MINUTE_MS * MINUTE_MS].append(one)
        rows: list[dict[str, Any]] = []
        for minute in range(from_ms // MINUTE_MS * MINUTE_MS, to_ms, MINUTE_MS):
            row = _candle(minutes.get(minute, []), rows[-1]["close"] if rows else None)
            if row is not None:
                rows.append({"@timestamp": minute, "is_closed": minute + MINUTE_MS <= now_ms, **row})
        _add_indicators(rows)
        for row in rows:
            fixed = {**_fields(instrument), "interval": candle.INTERVAL}
            index = names.monthly_index(names.INDEX_CANDLES_PREFIX, row["@timestamp"])
            source = fixed | row | {"updated_at": now_ms}
            yield index, candle.identity(instrument, row["@timestamp"]), source


def _by_instrument(trades: list[dict[str, Any]]) -> dict[Instrument, list[dict[str, Any]]]:
    found: dict[Instrument, list[dict[str, Any]]] = defaultdict(list)
    for one in trades:
        found[_of(one)].append(one)
    return found


def _of(trade: dict[str, Any]) -> Instrument:
    return instrument_of(trade["venue"], trade["market_type"], trade["symbol"])


def _fields(instrument: Instrument) -> dict[str, str]:
    return {"venue": instrument.venue, "market_type": instrument.market_type, "symbol": instrument.symbol}


def _candle(own: list[dict[str, Any]], carried: float | None) -> dict[str, Any] | None:
    if not own and carried is None:
        return None
    prices = [float(one["price"]) for one in own] or [carried]
    volumes = [float(one["base_quantity"]) for one in own]
    bought = sum(v for v, one in zip(volumes, own, strict=True) if one["is_buy"])
    notional = sum(v * float(one["price"]) for v, one in zip(volumes, own, strict=True))
    volume = sum(volumes)
    return {
        **{"open": prices[0], "high": max(prices), "low": min(prices), "close": prices[-1]},
        "vwap": notional / volume if volume else prices[-1],
        **{"volume": volume, "notional": notional, "buy_volume": bought},
        "buy_share": bought / volume if volume else None,
        **{"trades": len(own), "late_trades": 0, "missed_trades": 0, "is_quiet": not own},
    }


def _add_indicators(rows: list[dict[str, Any]]) -> None:
    closes = np.array([row["close"] for row in rows], dtype=float)
    upper, middle, lower = talib.BBANDS(closes, 20, 2.0, 2.0)
    macd, signal, histogram = talib.MACD(closes, 12, 26, 9)
    columns = {
        **{"sma_20": talib.SMA(closes, 20), "ema_12": talib.EMA(closes, 12), "ema_26": talib.EMA(closes, 26)},
        "rsi_14": talib.RSI(closes, 14),
        **{"macd": macd, "macd_signal": signal, "macd_histogram": histogram},
        **{"bollinger_upper": upper, "bollinger_middle": middle, "bollinger_lower": lower},
    }
    for name, values in columns.items():
        for row, value in zip(rows, values, strict=True):
            row[name] = None if np.isnan(value) else float(value)
    for place, row in enumerate(rows):
        for window, minutes in candle.WINDOWS_MINUTES.items():
            part = rows[max(0, place - minutes) : place + 1]
            bought, volume = sum(r["buy_volume"] for r in part), sum(r["volume"] for r in part)
            row[f"return_bp_{window}"] = (part[-1]["close"] / part[0]["close"] - 1) * 1e4
            row[f"volatility_bp_{window}"] = _deviation([r["close"] for r in part]) * 1e4
            row[f"volume_{window}"] = volume
            row[f"trades_per_s_{window}"] = sum(r["trades"] for r in part) / minutes / 60
            row[f"imbalance_{window}"] = (2 * bought - volume) / volume if volume else None


def _deviation(closes: list[float]) -> float:
    return float(np.std(np.diff(np.log(closes)))) if len(closes) > 1 else 0.0


def score_documents(trades: list[dict[str, Any]], now_ms: int) -> Iterator[Document]:
    """Yield how each symbol's predictions of a minute turned out, against the next different price."""
    for instrument, own in _by_instrument(trades).items():
        own.sort(key=lambda row: row["traded_at"])
        following: float | None = None
        sums: dict[int, dict[str, float]] = defaultdict(lambda: dict.fromkeys(_score_fields(), 0))
        for place in range(len(own) - 1, -1, -1):
            one, after = own[place], own[place + 1] if place + 1 < len(own) else None
            if after is not None and after["price"] != one["price"]:
                following = float(after["price"])
            if one["prediction_state"] == "ok":
                _score(sums[one["traded_at"] // MINUTE_MS * MINUTE_MS], one, following)
        for minute, totals in sums.items():
            fixed = {**_fields(instrument), "model_digest": DIGEST}
            identity = score.identity(instrument, minute, DIGEST)
            index = names.monthly_index(names.INDEX_SCORES_PREFIX, minute)
            yield index, identity, {"@timestamp": minute, **fixed, **totals, "updated_at": now_ms}


def _score_fields() -> list[str]:
    sums = ["predictions", "hits", "ups", "pending", "brier_sum", "prior_brier_sum", "rule_hits", "probability_sum"]
    return [*sums, *score.bin_fields(), *(f"bin_{number}_probability_sum" for number in range(score.BINS))]


def _score(totals: dict[str, float], one: dict[str, Any], following: float | None) -> None:
    if following is None:
        totals["pending"] += 1
        return
    went_up, chance = int(following > float(one["price"])), one["probability"]
    place = min(score.BINS - 1, int(chance * score.BINS))
    added = {
        **{"predictions": 1, "hits": int(one["prediction"] == went_up), "ups": went_up},
        "rule_hits": int(one["is_buy"] == bool(went_up)),
        **{"brier_sum": (chance - went_up) ** 2, "prior_brier_sum": 0.25, "probability_sum": chance},
        **{f"bin_{place}_predictions": 1, f"bin_{place}_ups": went_up, f"bin_{place}_probability_sum": chance},
    }
    for name, value in added.items():
        totals[name] += value


def reconciliation_documents(
    trades: list[dict[str, Any]], now_ms: int, incomplete: int | None = None
) -> Iterator[Document]:
    """Yield the reconciliation of each instrument and minute: complete, but in the minute `incomplete`, if any."""
    counts: dict[tuple[Instrument, int], int] = defaultdict(int)
    for one in trades:
        counts[_of(one), one["traded_at"] // MINUTE_MS * MINUTE_MS] += 1
    for (instrument, minute), count in counts.items():
        state = "open" if minute + 2 * MINUTE_MS > now_ms else "incomplete" if minute == incomplete else "complete"
        source = {
            **{"@timestamp": minute, **_fields(instrument), "state": state},
            **dict.fromkeys(("received", "produced", "logged", "distinct"), count),
            "indexed": count - (state == "incomplete"),
            **{"rejected": 0, "gaps": 0, "updated_at": now_ms},
        }
        index = names.monthly_index(names.INDEX_RECONCILIATION_PREFIX, minute)
        yield index, reconciliation.identity(instrument, minute), source


def gap_document(from_ms: int, to_ms: int, symbol: str = "BTCUSDT") -> Document:
    ends = {"from_trade_id": "1", "to_trade_id": "2", "from_traded_at": from_ms, "to_traded_at": to_ms}
    gap = Gap(
        venue="bybit",
        market_type="spot",
        symbol=symbol,
        reason="reconnect",
        detected_at=to_ms,
        backfilled=0,
        **ends,
    )
    return names.INDEX_GAPS, gap.identity(), {"@timestamp": gap.detected_at, **gap.model_dump()}


def alert_document(at_ms: int, symbol: str = "SOLUSDT") -> Document:
    found = alert.Alert(
        **{"alert_id": f"fast|{symbol}|{at_ms}", "rule": "fast", "kind": "price_move", "severity": "warning"},
        **{
            "venue": "bybit",
            "market_type": "spot",
            "symbol": symbol,
            "value": 214.0,
            "threshold": 150.0,
            "unit": "bp",
        },
        message=f"{symbol} (spot) moved 214 bp in 5 minutes; the rule allows 150 bp",
        **{"began_at": at_ms, "raised_at": at_ms + 900},
    )
    return names.INDEX_ALERTS, found.alert_id, {"@timestamp": at_ms, **found.model_dump()}


def verdict_document(at_ms: int, promoted: bool) -> Document:
    source = {
        **{"@timestamp": at_ms, "run_id": f"run-{at_ms}", "digest": DIGEST, "promoted": promoted},
        **{
            "promoted_kind": "forest" if promoted else None,
            "reasons": [] if promoted else ["no better than the prior"],
        },
        **{"rows_train": 41_000, "rows_test": 9_000, "auc": 0.573 if promoted else 0.511, "mcc": 0.11, "brier": 0.2441},
        **{"base_rate": 0.497, "brier_skill_vs_prior": 0.0231 if promoted else -0.0012, "brier_skill_vs_rule": 0.04},
    }
    return names.INDEX_MODELS, f"run-{at_ms}", source


class Writer:
    """Puts documents into Elasticsearch, under the templates of the platform."""

    def __init__(self, url: str) -> None:
        self.client = Elasticsearch(url, request_timeout=60)

    def templates(self, refresh_interval: str = "500ms") -> None:
        for name, body in index_templates.templates(0, refresh_interval).items():
            self.client.indices.put_index_template(name=name, **body)

    def write(self, documents: Iterable[Document], refresh: bool = True) -> int:
        lines: list[bytes] = []
        total = 0
        for index, identity, source in documents:
            lines += [orjson.dumps({"index": {"_index": index, "_id": identity}}), orjson.dumps(source)]
            total += 1
            if len(lines) >= 8_000:
                self._send(lines)
                lines = []
        self._send(lines)
        if refresh:
            self.client.indices.refresh(index="tapeline-*")
        return total

    def _send(self, lines: list[bytes]) -> None:
        if lines:
            answer = self.client.bulk(operations=lines)
            assert not answer["errors"], [item for item in answer["items"] if item["index"]["status"] >= 300][:2]


class Pump:
    """Writes live trades at a rate, and the candles of the running minute, until it is stopped."""

    def __init__(self, url: str, market: MadeMarket, per_s: int) -> None:
        self._writer, self._market, self._per_s = Writer(url), market, per_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.written = 0
        self.failure: Exception | None = None

    def __enter__(self) -> "Pump":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        begun, recent, reported = time.monotonic(), [], 0.0
        weights = [symbol.per_s for symbol in self._market.symbols]
        try:
            while not self._stop.wait(0.1):
                now_ms = time.time_ns() // 1_000_000
                due = round((time.monotonic() - begun) * self._per_s) - self.written
                chosen = self._market.random.choices(self._market.symbols, weights, k=due)
                fresh = [self._market.trade(symbol, now_ms) for symbol in chosen]
                self._writer.write(trade_documents(fresh), refresh=False)
                self.written += due
                minute = now_ms // MINUTE_MS * MINUTE_MS
                recent = [one for one in recent if one["traded_at"] >= minute][-5_000:] + fresh
                if time.monotonic() - reported > 1:
                    reported = time.monotonic()
                    self._writer.write(candle_documents(recent, minute, minute + 1, now_ms), refresh=False)
        except Exception as error:  # noqa: BLE001 - reported by the test that ends the pump
            self.failure = error

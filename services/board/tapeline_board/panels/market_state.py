"""The six views over time: buckets as they were last read, what changed in them, and the answer they make. Pure.

A stream reads the whole span now and then, and in between only its newest buckets: at thousands of trades a second
that is the difference between millions of documents a look and some ten thousand.
"""

from collections.abc import Iterable
from typing import Any

from tapeline_board.api.query_params import Span
from tapeline_board.api.schemas.market import MarketAnswer, MarketSeries, MarketTotal
from tapeline_board.panels.market import Bucket, Market, Ranking, Reading


class MarketBook:
    """What is known of one span, which may move."""

    def __init__(self, span: Span, interval_ms: int, ranking: Ranking, whole: Reading) -> None:
        """Begin with a reading of the whole span."""
        self.ranking, self.interval_ms, self._span = ranking, interval_ms, span
        self._everything = dict(whole.everything)
        self._symbols = {market: dict(buckets) for market, buckets in whole.symbols.items()}

    def merge(self, span: Span, from_ms: int, newer: Reading) -> MarketAnswer | None:
        """Take in a reading of the newest part; return the answer of what changed, None where nothing did.

        Args:
            span: what is known from now on; what lies before is forgotten.
            from_ms: start of the first bucket of the reading; it says all from there on.
            newer: the reading.
        """
        changed = {
            market: {at: one for at, one in buckets.items() if self._symbols.get(market, {}).get(at) != one}
            for market, buckets in newer.symbols.items()
        }
        is_news = any(changed.values()) or any(
            self._everything.get(at) != counts for at, counts in newer.everything.items()
        )
        self._span = span
        self._everything = _joined(self._everything, newer.everything, span.from_ms, from_ms)
        self._symbols = {
            market: _joined(self._symbols.get(market, {}), newer.symbols.get(market, {}), span.from_ms, from_ms)
            for market in self.ranking.markets
        }
        return self._answer(changed, is_whole=False) if is_news else None

    def whole(self) -> MarketAnswer:
        """Return the answer of everything that is known."""
        return self._answer(self._symbols, is_whole=True)

    def _answer(self, shown: dict[Market, dict[int, Bucket]], is_whole: bool) -> MarketAnswer:
        totals = [_total(market, buckets.values()) for market, buckets in self._symbols.items() if buckets]
        totals.sort(key=lambda row: (-row.trades, row.market_type, row.symbol))
        trades = sum(count for count, _ in self._everything.values())
        bought = sum(buys for _, buys in self._everything.values())
        order = [(row.market_type, row.symbol) for row in totals]
        return MarketAnswer(
            from_at=self._span.from_ms,
            to_at=self._span.to_ms,
            interval_ms=self.interval_ms,
            trades=trades,
            buy_trades=bought,
            sell_trades=trades - bought,
            series=[_series(market, shown[market]) for market in order if shown.get(market)],
            totals=totals,
            is_cut=self.ranking.is_cut,
            is_whole=is_whole,
        )


def _joined(older: dict[int, Any], newer: dict[int, Any], from_ms: int, newer_from_ms: int) -> dict[int, Any]:
    kept = {at: one for at, one in older.items() if from_ms <= at < newer_from_ms}
    return kept | newer


def _series(market: Market, buckets: dict[int, Bucket]) -> MarketSeries:
    times = sorted(buckets)
    rows = [buckets[at] for at in times]
    columns: dict[str, list[Any]] = {"at": times}
    columns |= {"trades": [row.trades for row in rows], "price": [row.price for row in rows]}
    for name in ("buy", "sell", "up", "down"):
        parts = [getattr(row, name) for row in rows]
        columns |= {f"{name}_{what}": [getattr(one, what) for one in parts] for what in ("trades", "price", "quantity")}
    return MarketSeries.model_validate({"market_type": market[0], "symbol": market[1], **columns})


def _total(market: Market, buckets: Iterable[Bucket]) -> MarketTotal:
    rows = list(buckets)
    trades = {name: sum(getattr(row, name).trades for row in rows) for name in ("buy", "sell", "up", "down", "other")}
    quantity = {name: sum(getattr(row, name).quantity for row in rows) for name in trades}
    fields: dict[str, Any] = {"market_type": market[0], "symbol": market[1], "trades": sum(row.trades for row in rows)}
    fields |= {f"{name}_trades": trades[name] for name in ("buy", "sell", "up", "down")}
    fields |= {f"{name}_quantity": quantity[name] for name in ("buy", "sell")}
    fields |= {
        f"{name}_quantity_mean": quantity[name] / trades[name] if trades[name] else None
        for name in ("up", "down", "other")
    }
    return MarketTotal.model_validate(fields)

"""State of the six views over time: merges newer buckets, and builds snapshots and deltas. Pure.

A stream reads the full span now and then, and in between only its newest buckets: at thousands of trades a second a
poll then reads some ten thousand documents instead of millions.
"""

from collections.abc import Iterable
from typing import Any

from tapeline.instrument import Instrument

from tapeline_board.api.query_params import Span
from tapeline_board.api.schemas.market import MarketResponse, MarketSeries, MarketTotal
from tapeline_board.clients.search import instrument_fields
from tapeline_board.panels.market import Bucket, MarketBuckets, Ranking


class MarketState:
    """Buckets of one span, which may move."""

    def __init__(self, span: Span, interval_ms: int, ranking: Ranking, buckets: MarketBuckets) -> None:
        """Begin with the buckets of the full span."""
        self.ranking, self.interval_ms, self._span = ranking, interval_ms, span
        self._everything = dict(buckets.everything)
        self._instruments = {instrument: dict(rows) for instrument, rows in buckets.instruments.items()}

    def merge(self, span: Span, from_ms: int, newer: MarketBuckets) -> MarketResponse | None:
        """Merge the newest buckets; return a delta, None without changes.

        Args:
            span: the new span; buckets before it are dropped.
            from_ms: start of the first bucket of `newer`, which is complete from there on.
            newer: buckets of the newest part.
        """
        changed = {
            instrument: {at: one for at, one in buckets.items() if self._instruments.get(instrument, {}).get(at) != one}
            for instrument, buckets in newer.instruments.items()
        }
        has_changed = any(changed.values()) or any(
            self._everything.get(at) != counts for at, counts in newer.everything.items()
        )
        self._span = span
        self._everything = _merge_rows(self._everything, newer.everything, span.from_ms, from_ms)
        known, fresh = self._instruments, newer.instruments
        self._instruments = {
            instrument: _merge_rows(known.get(instrument, {}), fresh.get(instrument, {}), span.from_ms, from_ms)
            for instrument in self.ranking.instruments
        }
        return self._response(changed, is_snapshot=False) if has_changed else None

    def snapshot(self) -> MarketResponse:
        """Return all buckets as a response."""
        return self._response(self._instruments, is_snapshot=True)

    def _response(self, shown: dict[Instrument, dict[int, Bucket]], is_snapshot: bool) -> MarketResponse:
        totals = [_total(instrument, rows.values()) for instrument, rows in self._instruments.items() if rows]
        totals.sort(key=lambda row: (-row.trades, row.instrument))
        trades = sum(count for count, _ in self._everything.values())
        bought = sum(buys for _, buys in self._everything.values())
        return MarketResponse(
            from_at=self._span.from_ms,
            to_at=self._span.to_ms,
            interval_ms=self.interval_ms,
            trades=trades,
            buy_trades=bought,
            sell_trades=trades - bought,
            series=[_series(row.instrument, shown[row.instrument]) for row in totals if shown.get(row.instrument)],
            totals=totals,
            is_truncated=self.ranking.is_truncated,
            is_snapshot=is_snapshot,
        )


def _merge_rows(older: dict[int, Any], newer: dict[int, Any], from_ms: int, newer_from_ms: int) -> dict[int, Any]:
    kept = {at: one for at, one in older.items() if from_ms <= at < newer_from_ms}
    return kept | newer


def _series(instrument: Instrument, buckets: dict[int, Bucket]) -> MarketSeries:
    times = sorted(buckets)
    rows = [buckets[at] for at in times]
    columns: dict[str, list[Any]] = {"at": times}
    columns |= {"trades": [row.trades for row in rows], "price": [row.price for row in rows]}
    for name in ("buy", "sell", "up", "down"):
        parts = [getattr(row, name) for row in rows]
        columns |= {f"{name}_{what}": [getattr(one, what) for one in parts] for what in ("trades", "price", "quantity")}
    return MarketSeries.model_validate({**instrument_fields(instrument), **columns})


def _total(instrument: Instrument, buckets: Iterable[Bucket]) -> MarketTotal:
    rows = list(buckets)
    trades = {name: sum(getattr(row, name).trades for row in rows) for name in ("buy", "sell", "up", "down", "other")}
    quantity = {name: sum(getattr(row, name).quantity for row in rows) for name in trades}
    fields: dict[str, Any] = {**instrument_fields(instrument), "trades": sum(row.trades for row in rows)}
    fields |= {f"{name}_trades": trades[name] for name in ("buy", "sell", "up", "down")}
    fields |= {f"{name}_quantity": quantity[name] for name in ("buy", "sell")}
    fields |= {
        f"{name}_quantity_mean": quantity[name] / trades[name] if trades[name] else None
        for name in ("up", "down", "other")
    }
    return MarketTotal.model_validate(fields)

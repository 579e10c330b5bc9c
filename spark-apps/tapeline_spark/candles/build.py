"""Builds candles from the minutes of an instrument: fills quiet minutes, computes indicators and windows. Pure.

A candle depends only on the minutes before it and on its own, so candles can be built in any grouping.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tapeline_spark.candles import indicators, windows
from tapeline_spark.candles.closed_history import FLOW_MINUTES
from tapeline_spark.candles.indicators import KEPT_MINUTES
from tapeline_spark.candles.listener import NO_RECORDS, Candle, Changes, LogRow, ProducerRecords
from tapeline_spark.candles.open_minute import OpenMinute
from tapeline_spark.candles.state import MINUTE_MS, CandleState, ChangedMinutes, SymbolCandles


def changes(
    state: CandleState,
    is_caught_up: bool,
    producer_records: ProducerRecords = NO_RECORDS,
    unreadable: Sequence[LogRow] = (),
) -> Changes:
    """Return what the records since the last call changed, and trim the state.

    Args:
        state: with the records admitted.
        is_caught_up: every partition was read to its end.
        producer_records: see `Changes`.
        unreadable: see `Changes`.
    """
    changed = state.changed(is_caught_up)
    built = {one.instrument: candles(one) for one in changed}
    state.trim(changed)
    last_traded_ms = {instrument: symbol_candles.newest[0] for instrument, symbol_candles in state.symbols.items()}
    records = producer_records, tuple(unreadable)
    return Changes(state.clocks(), built, state.missed(), last_traded_ms, *records, state.topic_venues())


def candles(changed: ChangedMinutes) -> dict[int, Candle]:
    """Return the candles of the changed minutes of a symbol, ascending."""
    built: dict[int, Candle] = {}
    for run in _consecutive_runs(changed.minutes):
        built |= _build_run(changed.symbol_candles, run, changed.open_ms)
    return built


def _consecutive_runs(minutes: Sequence[int]) -> Iterator[Sequence[int]]:
    """Yield runs of consecutive minutes."""
    begin = 0
    for position in range(1, len(minutes) + 1):
        if position == len(minutes) or minutes[position] != minutes[position - 1] + MINUTE_MS:
            yield minutes[begin:position]
            begin = position


def _build_run(symbol_candles: SymbolCandles, minutes: Sequence[int], open_ms: int) -> dict[int, Candle]:
    closes = np.array(_closes(symbol_candles, minutes), dtype=np.float64)
    flows = _flows(symbol_candles, minutes)
    built = {}
    for before, minute in enumerate(reversed(minutes)):
        # Counted from the end, since closes and flows reach back differently far.
        stop, flow_stop = len(closes) - before, len(flows) - before
        recent = flows[max(0, flow_stop - FLOW_MINUTES) : flow_stop]
        measured: dict[str, Any] = {
            "history": min(KEPT_MINUTES, (minute - symbol_candles.first_ms) // MINUTE_MS + 1),
            "is_closed": minute < open_ms,
            "missed_trades": symbol_candles.missed.get(minute, 0),
            "indicators": indicators.compute(closes[max(0, stop - KEPT_MINUTES) : stop]),
            "windows": windows.compute(
                closes[max(0, stop - FLOW_MINUTES - 1) : stop].tolist(), *zip(*recent, strict=True)
            ),
        }
        item = symbol_candles.minutes.get(minute)
        built[minute] = (
            _traded_candle(minute, item, measured) if item else _quiet_candle(minute, float(closes[stop - 1]), measured)
        )
    return dict(reversed(built.items()))


def _recent(symbol_candles: SymbolCandles, minutes: Sequence[int], reach: int) -> tuple[int, range]:
    """Return how many closed minutes the first minute looks back on, and the minutes after those."""
    start = max(symbol_candles.first_ms, minutes[0] - (reach - 1) * MINUTE_MS)
    following = range(max(start, symbol_candles.closed.end_ms), minutes[-1] + MINUTE_MS, MINUTE_MS)
    return max(0, (symbol_candles.closed.end_ms - start) // MINUTE_MS), following


def _closes(symbol_candles: SymbolCandles, minutes: Sequence[int]) -> list[float]:
    """Return the closes before and of some minutes."""
    known, following = _recent(symbol_candles, minutes, KEPT_MINUTES)
    closes = symbol_candles.closed.closes[-known:].tolist() if known else []
    close = closes[-1] if closes else _close_before(symbol_candles, following[0])
    for minute in following:
        item = symbol_candles.minutes.get(minute)
        close = item.close if item else close
        closes.append(close)
    return closes


def _close_before(symbol_candles: SymbolCandles, minute: int) -> float:
    """Return the last close before a minute; 0 for the first minute of a symbol."""
    traded = max((other for other in symbol_candles.minutes if other < minute), default=None)
    if traded is not None:
        return symbol_candles.minutes[traded].close
    return symbol_candles.closed.closes[-1] if symbol_candles.closed.closes else 0.0


def _flows(symbol_candles: SymbolCandles, minutes: Sequence[int]) -> list[tuple[float, float, int]]:
    """Return (volume, volume bought by takers, number of trades) of the minutes that the windows need."""
    known, following = _recent(symbol_candles, minutes, FLOW_MINUTES)
    closed = symbol_candles.closed
    flows = (
        list(zip(closed.volumes[-known:], closed.buys[-known:], closed.trades[-known:], strict=True)) if known else []
    )
    for minute in following:
        item = symbol_candles.minutes.get(minute)
        flows.append((float(item.volume), float(item.buy_volume), item.trades) if item else (0.0, 0.0, 0))
    return flows


def _traded_candle(minute: int, item: OpenMinute, measured: dict[str, Any]) -> Candle:
    return Candle(
        minute_ms=minute,
        open=item.open,
        high=item.high,
        low=item.low,
        close=item.close,
        vwap=item.vwap(),
        volume=float(item.volume),
        notional=float(item.notional),
        buy_volume=float(item.buy_volume),
        trades=item.trades,
        late_trades=item.late_trades,
        logged=item.logged + measured["missed_trades"],
        is_quiet=False,
        **measured,
    )


def _quiet_candle(minute: int, close: float, measured: dict[str, Any]) -> Candle:
    return Candle(
        minute_ms=minute,
        open=close,
        high=close,
        low=close,
        close=close,
        vwap=close,
        volume=0.0,
        notional=0.0,
        buy_volume=0.0,
        trades=0,
        late_trades=0,
        logged=measured["missed_trades"],
        is_quiet=True,
        **measured,
    )

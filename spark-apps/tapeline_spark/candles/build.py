"""Candles out of a symbol's minutes: quiet ones carried, indicators and windows computed. Pure.

Each candle is made of the minutes that lead to it and of nothing else, so it does not matter which of them are made
together.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tapeline_spark.candles import indicators, windows
from tapeline_spark.candles.closed_history import FLOW_MINUTES
from tapeline_spark.candles.indicators import KEPT_MINUTES
from tapeline_spark.candles.listener import Candle
from tapeline_spark.candles.open_minute import Minute
from tapeline_spark.candles.state import MINUTE_MS, Series, Span


def candles(span: Span) -> dict[int, Candle]:
    """Return the candles of some minutes of a symbol, ascending."""
    made: dict[int, Candle] = {}
    for stretch in _stretches(span.minutes):
        made |= _stretch(span.series, stretch, span.open_ms)
    return made


def _stretches(minutes: Sequence[int]) -> Iterator[Sequence[int]]:
    """Yield runs of minutes that follow each other."""
    begin = 0
    for place in range(1, len(minutes) + 1):
        if place == len(minutes) or minutes[place] != minutes[place - 1] + MINUTE_MS:
            yield minutes[begin:place]
            begin = place


def _stretch(series: Series, minutes: Sequence[int], open_ms: int) -> dict[int, Candle]:
    closes = np.array(_closes(series, minutes), dtype=np.float64)
    flows = _flows(series, minutes)
    made = {}
    for before, minute in enumerate(reversed(minutes)):
        # Counted from the end: how far back they reach is not the same for all.
        stop, flow_stop = len(closes) - before, len(flows) - before
        recent = flows[max(0, flow_stop - FLOW_MINUTES) : flow_stop]
        measured: dict[str, Any] = {
            "history": min(KEPT_MINUTES, (minute - series.first_ms) // MINUTE_MS + 1),
            "is_closed": minute < open_ms,
            "missed_trades": series.missed.get(minute, 0),
            "indicators": indicators.compute(closes[max(0, stop - KEPT_MINUTES) : stop]),
            "windows": windows.compute(
                closes[max(0, stop - FLOW_MINUTES - 1) : stop].tolist(), *zip(*recent, strict=True)
            ),
        }
        item = series.minutes.get(minute)
        made[minute] = _traded(minute, item, measured) if item else _quiet(minute, float(closes[stop - 1]), measured)
    return dict(reversed(made.items()))


def _recent(series: Series, minutes: Sequence[int], reach: int) -> tuple[int, range]:
    """Return how many of the past minutes belong to the first one's reach, and the minutes that follow those."""
    start = max(series.first_ms, minutes[0] - (reach - 1) * MINUTE_MS)
    following = range(max(start, series.past.end_ms), minutes[-1] + MINUTE_MS, MINUTE_MS)
    return max(0, (series.past.end_ms - start) // MINUTE_MS), following


def _closes(series: Series, minutes: Sequence[int]) -> list[float]:
    """Return the closes that lead to some minutes, and theirs."""
    known, following = _recent(series, minutes, KEPT_MINUTES)
    closes = series.past.closes[-known:].tolist() if known else []
    close = closes[-1] if closes else _close_before(series, following[0])
    for minute in following:
        item = series.minutes.get(minute)
        close = item.close if item else close
        closes.append(close)
    return closes


def _close_before(series: Series, minute: int) -> float:
    """Return the last close before a minute; 0 where there is none, because it is the first."""
    traded = max((other for other in series.minutes if other < minute), default=None)
    if traded is not None:
        return series.minutes[traded].close
    return series.past.closes[-1] if series.past.closes else 0.0


def _flows(series: Series, minutes: Sequence[int]) -> list[tuple[float, float, int]]:
    """Return volume, what takers bought of it, and the number of trades of the minutes that windows need."""
    known, following = _recent(series, minutes, FLOW_MINUTES)
    past = series.past
    flows = list(zip(past.volumes[-known:], past.buys[-known:], past.trades[-known:], strict=True)) if known else []
    for minute in following:
        item = series.minutes.get(minute)
        flows.append((float(item.volume), float(item.buy_volume), item.trades) if item else (0.0, 0.0, 0))
    return flows


def _traded(minute: int, item: Minute, measured: dict[str, Any]) -> Candle:
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


def _quiet(minute: int, close: float, measured: dict[str, Any]) -> Candle:
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

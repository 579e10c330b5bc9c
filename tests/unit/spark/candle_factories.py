"""Factories of candles from (minute, price, volume) ticks of one symbol, for tests of alert rules."""

from collections.abc import Sequence

from tapeline.instrument import Instrument, instrument_of
from tapeline.records import candle
from tapeline_spark.candles.listener import Candle, Changes, LogClock, LogRow

START_MS = 1_790_000_040_000
MINUTE_MS = 60_000
INSTRUMENT = instrument_of("bybit", "spot", "BTCUSDT")
Tick = tuple[int, float, float]

assert START_MS % MINUTE_MS == 0


def candles(ticks: Sequence[Tick], first: int = 0) -> dict[int, Candle]:
    """Return every candle from minute `first` of the log on, as it stands after these trades."""
    last = max(minute for minute, _, _ in ticks)
    begin = min(minute for minute, _, _ in ticks)
    built: dict[int, Candle] = {}
    closes: list[float] = []
    volumes: list[float] = []
    counts: list[int] = []
    for minute in range(begin, last + 1):
        own = [(price, volume) for at, price, volume in ticks if at == minute]
        closes.append(own[-1][0] if own else closes[-1])
        volumes.append(sum(volume for _, volume in own))
        counts.append(len(own))
        prices = [price for price, _ in own] or [closes[-1]]
        windows: dict[str, float | None] = {}
        for name, length in candle.WINDOWS_MINUTES.items():
            known, whole = len(closes) > length, len(volumes) >= length
            windows[f"return_bp_{name}"] = (closes[-1] / closes[-1 - length] - 1) * 1e4 if known else None
            windows[f"volume_{name}"] = sum(volumes[-length:]) if whole else None
            windows[f"trades_per_s_{name}"] = sum(counts[-length:]) / (60 * length) if whole else None
        if minute >= first:
            at_ms = START_MS + minute * MINUTE_MS
            built[at_ms] = Candle(
                *(at_ms, prices[0], max(prices), min(prices), prices[-1], prices[-1]),
                *(volumes[-1], 0.0, 0.0, counts[-1], 0, 0, counts[-1], not own, minute < last, len(closes)),
                windows=windows,
            )
    return built


def changes(
    built: dict[int, Candle], instrument: Instrument = INSTRUMENT, newest_ms: int | None = None, **more: object
) -> Changes:
    """Return the changes of a batch with these candles."""
    newest = max(built) if newest_ms is None else newest_ms
    clock = LogClock(newest, bool(more.pop("is_caught_up", True)))
    plain = {"candles": {instrument: built}, "missed": {}, "last_traded_ms": {instrument: newest}}
    return Changes(**{"clocks": {instrument.venue: clock}} | plain | more)


def producer_row(topic: str, value: bytes) -> LogRow:
    return LogRow(topic, 0, 0, None, value, START_MS)

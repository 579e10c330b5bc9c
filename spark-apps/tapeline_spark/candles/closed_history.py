"""Keeps closes and flows of final minutes, as far as later candles look back on them. Pure."""

from array import array
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from tapeline.records import candle

from tapeline_spark.candles.indicators import KEPT_MINUTES
from tapeline_spark.candles.open_minute import OpenMinute

FLOW_MINUTES: Final = max(candle.WINDOWS_MINUTES.values())
# Cutting off the front moves the whole array, so it is done once per this many minutes.
_SLACK: Final = 60


# array is generic only since Python 3.12.
Doubles: TypeAlias = "array[float]"
Longs: TypeAlias = "array[int]"


def _doubles() -> Doubles:
    return array("d")


@dataclass(slots=True)
class ClosedHistory:
    """Minutes of one symbol before `end_ms`, quiet ones filled in, without gaps between.

    Attributes:
        end_ms: start of the first minute after the history.
        traded_ms: newest minute with a trade; None while the history is empty.
        closes: of the last minutes, at least KEPT_MINUTES if there are as many.
        volumes: of the last FLOW_MINUTES, like the next two.
        buys: volume bought by takers.
        trades: number of distinct trades.
    """

    end_ms: int
    traded_ms: int | None = None
    closes: Doubles = field(default_factory=_doubles)
    volumes: Doubles = field(default_factory=_doubles)
    buys: Doubles = field(default_factory=_doubles)
    trades: Longs = field(default_factory=lambda: array("q"))

    def to_bytes(self) -> tuple[bytes, bytes, bytes, bytes]:
        """Return closes, volumes, buys and trades, in native byte order."""
        return self.closes.tobytes(), self.volumes.tobytes(), self.buys.tobytes(), self.trades.tobytes()

    def append(self, minute: int, item: OpenMinute) -> None:
        """Append a minute with trades; the minutes between are quiet."""
        self.carry_to(minute)
        self.traded_ms = minute
        self.closes.append(item.close)
        self.volumes.append(float(item.volume))
        self.buys.append(float(item.buy_volume))
        self.trades.append(item.trades)
        self.end_ms = minute + candle.MINUTE_MS

    def carry_to(self, end_ms: int) -> None:
        """Extend the history to `end_ms` with quiet minutes; does nothing while it is empty."""
        count = (end_ms - self.end_ms) // candle.MINUTE_MS
        if count <= 0 or not self.closes:
            return
        # After a long quiet period only its end is ever read, so the older part may be dropped.
        self.closes.extend(self.closes[-1:] * min(count, KEPT_MINUTES))
        for flow in (self.volumes, self.buys):
            flow.extend(array("d", [0.0]) * min(count, FLOW_MINUTES))
        self.trades.extend(array("q", [0]) * min(count, FLOW_MINUTES))
        self.end_ms = end_ms

    def trim(self) -> None:
        """Drop what no later minute looks back on."""
        if len(self.closes) >= KEPT_MINUTES + _SLACK:
            del self.closes[:-KEPT_MINUTES]
        if len(self.trades) >= FLOW_MINUTES + _SLACK:
            del self.volumes[:-FLOW_MINUTES], self.buys[:-FLOW_MINUTES], self.trades[:-FLOW_MINUTES]

"""What is kept of minutes that nothing can change any more: the closes and flows that later ones look back on. Pure."""

from array import array
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from tapeline.records import candle

from tapeline_spark.candles.indicators import KEPT_MINUTES
from tapeline_spark.candles.open_minute import Minute

FLOW_MINUTES: Final = max(candle.WINDOWS_MINUTES.values())
# Cutting off the front moves all the rest, so it is done once in so many minutes.
_SLACK: Final = 60


# Only since Python 3.12 can the class itself say what is in it.
Doubles: TypeAlias = "array[float]"
Longs: TypeAlias = "array[int]"


def _doubles() -> Doubles:
    return array("d")


@dataclass(slots=True)
class Past:
    """One symbol's minutes before `end_ms`, quiet ones carried, none left out.

    Attributes:
        end_ms: start of the first minute that is not in it.
        traded_ms: its newest minute with a trade; None while it is empty.
        closes: of the last minutes, at least KEPT_MINUTES of them if there are as many.
        volumes: of the last FLOW_MINUTES, as are those that follow.
        buys: bought by takers.
        trades: distinct ones.
    """

    end_ms: int
    traded_ms: int | None = None
    closes: Doubles = field(default_factory=_doubles)
    volumes: Doubles = field(default_factory=_doubles)
    buys: Doubles = field(default_factory=_doubles)
    trades: Longs = field(default_factory=lambda: array("q"))

    def packed(self) -> tuple[bytes, bytes, bytes, bytes]:
        """Return closes, volumes, buys and trades, in the byte order of this machine."""
        return self.closes.tobytes(), self.volumes.tobytes(), self.buys.tobytes(), self.trades.tobytes()

    def append(self, minute: int, item: Minute) -> None:
        """Add a minute with trades; those between were quiet."""
        self.carry_to(minute)
        self.traded_ms = minute
        self.closes.append(item.close)
        self.volumes.append(float(item.volume))
        self.buys.append(float(item.buy_volume))
        self.trades.append(item.trades)
        self.end_ms = minute + candle.MINUTE_MS

    def carry_to(self, end_ms: int) -> None:
        """Let it end there; what is added was quiet. While it is empty, there is nothing to carry."""
        count = (end_ms - self.end_ms) // candle.MINUTE_MS
        if count <= 0 or not self.closes:
            return
        # Of a year of silence only the end is ever looked at; what lies before it need not be in its place.
        self.closes.extend(self.closes[-1:] * min(count, KEPT_MINUTES))
        for flow in (self.volumes, self.buys):
            flow.extend(array("d", [0.0]) * min(count, FLOW_MINUTES))
        self.trades.extend(array("q", [0]) * min(count, FLOW_MINUTES))
        self.end_ms = end_ms

    def trim(self) -> None:
        """Forget what no later minute looks back on."""
        if len(self.closes) >= KEPT_MINUTES + _SLACK:
            del self.closes[:-KEPT_MINUTES]
        if len(self.trades) >= FLOW_MINUTES + _SLACK:
            del self.volumes[:-FLOW_MINUTES], self.buys[:-FLOW_MINUTES], self.trades[:-FLOW_MINUTES]

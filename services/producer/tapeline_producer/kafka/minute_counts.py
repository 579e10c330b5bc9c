"""What this process has counted of each symbol and minute: read, read again, taken by Kafka.

Pure: time comes in as an argument; teller.py writes what is due. Totals, so that the newest report says all.
The minute is that of the trades' own time.
To count something else: a field of tapeline.completeness.Count and of Cell.
"""

from typing import Final

from tapeline import names
from tapeline.records.reconciliation import Count

from tapeline_producer.exchange.bybit.messages import Trade

_MINUTE_MS: Final = 60_000
_KEEP_MS: Final = 15 * _MINUTE_MS
"""How long a minute is kept after its last change; what comes later is counted under another name."""
_KEEP_OWED_MS: Final = 24 * 60 * _MINUTE_MS
"""The same of a minute whose trades Kafka has not all taken."""

Totals = tuple[int, int, int]


class Cell:
    """The totals of one symbol and minute; each number is written by one thread only."""

    __slots__ = (
        "_looked_at",
        "_still_since_ms",
        "_told",
        "duplicates",
        "market_type",
        "minute_ms",
        "produced",
        "producer",
        "received",
        "symbol",
    )

    def __init__(self, producer: str, market_type: str, symbol: str, minute_ms: int) -> None:
        self.producer, self.market_type, self.symbol, self.minute_ms = producer, market_type, symbol, minute_ms
        self.received = self.duplicates = self.produced = 0
        self._told: Totals = (0, 0, 0)
        self._looked_at: Totals | None = None
        self._still_since_ms = 0

    def take(self) -> None:
        """Count a trade that Kafka has taken."""
        self.produced += 1

    @property
    def totals(self) -> Totals:
        """Received, duplicates, produced."""
        return self.received, self.duplicates, self.produced

    @property
    def is_told(self) -> bool:
        """Whether Kafka has the totals as they are."""
        return self._told == self.totals

    def told(self, totals: Totals) -> None:
        """Note what Kafka has."""
        self._told = totals

    def still_ms(self, now_ms: int) -> int:
        """Return for how long the totals have been found the same, ms.

        Args:
            now_ms: our clock, ms UTC; the minute says nothing, for trades may come long after their time.
        """
        if self._looked_at != self.totals:
            self._looked_at, self._still_since_ms = self.totals, now_ms
        return now_ms - self._still_since_ms

    def report(self, totals: Totals, now_ms: int) -> Count:
        """Return totals of this cell as they are written.

        Args:
            totals: received, duplicates, produced.
            now_ms: our clock, ms UTC.
        """
        fields = {
            "venue": names.VENUE,
            "market_type": self.market_type,
            "symbol": self.symbol,
            "minute": self.minute_ms,
        }
        numbers = dict(zip(("received", "duplicates", "produced"), totals, strict=True))
        return Count.model_validate({"producer": self.producer, **fields, **numbers, "counted_at": now_ms})


class Counts:
    """The cells of one process."""

    def __init__(self, process: str) -> None:
        """Start with none.

        Args:
            process: name of this process, never used before.
        """
        self._process = process
        self._generation = 0
        self._cells: dict[tuple[str, str, int], Cell] = {}

    def of(self, trade: Trade) -> Cell:
        """Return the cell of a trade."""
        minute_ms = trade.traded_at - trade.traded_at % _MINUTE_MS
        key = trade.market_type, trade.symbol, minute_ms
        cell = self._cells.get(key)
        if cell is None:
            cell = self._cells[key] = Cell(f"{self._process}.{self._generation}", *key)
        return cell

    def due(self) -> list[Cell]:
        """Return the cells of which Kafka does not have the newest totals."""
        return [cell for cell in self._cells.values() if not cell.is_told]

    def forget(self, now_ms: int) -> None:
        """Let go of minutes that nothing has come of for long, so that memory is bounded.

        A trade of such a minute that comes yet begins a new cell; it must not tell less under the old name.
        """
        old = [key for key, cell in self._cells.items() if _is_done(cell, now_ms)]
        for key in old:
            del self._cells[key]
        self._generation += bool(old)


def _is_done(cell: Cell, now_ms: int) -> bool:
    still_ms = cell.still_ms(now_ms)
    if not cell.is_told:
        return False
    return still_ms > (_KEEP_MS if cell.produced >= cell.received else _KEEP_OWED_MS)

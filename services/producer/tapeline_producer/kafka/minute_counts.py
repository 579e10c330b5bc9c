"""Counts the trades of each instrument and minute: received, duplicates, acknowledged by Kafka.

Pure: time is an argument; count_publisher.py writes the records. Each record holds totals, so the newest one is enough.
The minute is that of `traded_at`.
To count something else: a field of tapeline.records.reconciliation.Count and of MinuteCounter.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from tapeline.instrument import Instrument
from tapeline.records.reconciliation import Count

from tapeline_producer.exchange.bybit.messages import Trade

_MINUTE_MS: Final = 60_000
_RETENTION_MS: Final = 15 * _MINUTE_MS
"""How long a counter is kept after its last change; later trades go to a counter under another producer name."""
_UNACKED_RETENTION_MS: Final = 24 * 60 * _MINUTE_MS
"""The same if Kafka has not acknowledged all trades of the minute."""

Totals = tuple[int, int, int]


class MinuteCounter:
    """The totals of one instrument and minute; each number is written by one thread only."""

    __slots__ = (
        "_last_seen",
        "_published",
        "_unchanged_since_ms",
        "duplicates",
        "instrument",
        "minute_ms",
        "produced",
        "producer",
        "received",
    )

    def __init__(self, producer: str, instrument: Instrument, minute_ms: int) -> None:
        self.producer, self.instrument, self.minute_ms = producer, instrument, minute_ms
        self.received = self.duplicates = self.produced = 0
        self._published: Totals = (0, 0, 0)
        self._last_seen: Totals | None = None
        self._unchanged_since_ms = 0

    def record_produced(self) -> None:
        """Count a trade that Kafka has acknowledged."""
        self.produced += 1

    @property
    def totals(self) -> Totals:
        """Received, duplicates, produced."""
        return self.received, self.duplicates, self.produced

    @property
    def is_published(self) -> bool:
        """Whether Kafka has acknowledged the current totals."""
        return self._published == self.totals

    def mark_published(self, totals: Totals) -> None:
        """Set the totals that Kafka has acknowledged."""
        self._published = totals

    def unchanged_ms(self, now_ms: int) -> int:
        """Return for how long the calls of this method have found the totals unchanged, ms.

        Args:
            now_ms: our clock, ms UTC; the minute itself is no measure, as trades may arrive long after their time.
        """
        if self._last_seen != self.totals:
            self._last_seen, self._unchanged_since_ms = self.totals, now_ms
        return now_ms - self._unchanged_since_ms

    def to_record(self, totals: Totals, now_ms: int) -> Count:
        """Return totals of this counter as the record that is published.

        Args:
            totals: received, duplicates, produced.
            now_ms: our clock, ms UTC.
        """
        fields = {
            "venue": self.instrument.venue,
            "market_type": self.instrument.market_type,
            "symbol": self.instrument.symbol,
            "minute": self.minute_ms,
        }
        numbers = dict(zip(("received", "duplicates", "produced"), totals, strict=True))
        return Count.model_validate({"producer": self.producer, **fields, **numbers, "counted_at": now_ms})


class MinuteCounters:
    """The counters of one process."""

    def __init__(self, process: str) -> None:
        """Start without a counter.

        Args:
            process: name of this process, never used before.
        """
        self._process = process
        self._generation = 0
        self._counters: dict[tuple[Instrument, int], MinuteCounter] = {}

    def counters_for(self, instrument: Instrument, trades: Iterable[Trade]) -> Iterator[tuple[Trade, MinuteCounter]]:
        """Yield each trade with the counter of its minute, a new one if there is none.

        Args:
            instrument: of all trades.
            trades: trades of one minute follow each other, mostly, so that few counters are looked up.
        """
        minute_ms, counter = -1, None
        for trade in trades:
            if counter is None or not 0 <= trade.traded_at - minute_ms < _MINUTE_MS:
                minute_ms = trade.traded_at - trade.traded_at % _MINUTE_MS
                counter = self._counter(instrument, minute_ms)
            yield trade, counter

    def _counter(self, instrument: Instrument, minute_ms: int) -> MinuteCounter:
        key = instrument, minute_ms
        counter = self._counters.get(key)
        if counter is None:
            counter = self._counters[key] = MinuteCounter(f"{self._process}.{self._generation}", *key)
        return counter

    def unpublished(self) -> list[MinuteCounter]:
        """Return the counters whose current totals Kafka has not acknowledged."""
        return [counter for counter in self._counters.values() if not counter.is_published]

    def evict(self, now_ms: int) -> None:
        """Remove counters that have not changed for their retention time, so that memory is bounded.

        A later trade of such a minute starts a new counter; under the old name its totals would replace larger ones.
        """
        old = [key for key, counter in self._counters.items() if _is_evictable(counter, now_ms)]
        for key in old:
            del self._counters[key]
        self._generation += bool(old)


def _is_evictable(counter: MinuteCounter, now_ms: int) -> bool:
    unchanged_ms = counter.unchanged_ms(now_ms)
    if not counter.is_published:
        return False
    return unchanged_ms > (_RETENTION_MS if counter.produced >= counter.received else _UNACKED_RETENTION_MS)

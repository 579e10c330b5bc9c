"""Lookback state: the recent trades of each instrument that the longest feature needs.

Pure. `admit` is a function of the log alone, record after record in log order: the state can be rebuilt by replaying
the log, and batch boundaries never change a feature. A trade behind a later one of its instrument is late: it is stored
and marked, but never enters a lookback.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from tapeline.enums import Side
from tapeline.instrument import Instrument
from tapeline.model import features
from tapeline.trade import instrument_of

from tapeline_spark.kafka.decode import DecodedTrade, TopicPartition

MAX_TRADE_IDS: Final = 512
"""Trade ids kept per instrument; an older duplicate is late, and Elasticsearch rejects its id."""

Order = tuple[int, int, int]


def order_key(trade: Any) -> Order:
    """Return the sort key of an instrument's trades (a total order)."""
    return trade.traded_at, trade.sequence or 0, trade.frame_index


@dataclass(slots=True)
class Lookback:
    """Recent trades of one instrument, oldest first."""

    traded_at_ms: list[int] = field(default_factory=list)
    price: list[float] = field(default_factory=list)
    quantity: list[float] = field(default_factory=list)
    is_buy: list[bool] = field(default_factory=list)
    last: Order = (0, 0, 0)
    ids: dict[str, None] = field(default_factory=dict)

    def append(self, trade: Any, order: Order) -> None:
        """Append a trade that follows the last one."""
        self.traded_at_ms.append(trade.traded_at)
        self.price.append(float(trade.price))
        self.quantity.append(float(trade.base_quantity))
        self.is_buy.append(trade.side is Side.BUY)
        self.last = order

    def trim(self) -> None:
        """Drop what no later trade looks back on."""
        # The next trade is not older than the last one, and is itself the newest of its window.
        floor = self.last[0] - features.LOOKBACK_MS
        surplus = max(0, len(self.price) - (features.LOOKBACK_TRADES - 1))
        while surplus < len(self.price) and self.traded_at_ms[surplus] < floor:
            surplus += 1
        if surplus:
            for column in (self.traded_at_ms, self.price, self.quantity, self.is_buy):
                del column[:surplus]
        for trade_id in list(self.ids)[: max(0, len(self.ids) - MAX_TRADE_IDS)]:
            del self.ids[trade_id]


@dataclass(slots=True)
class Admission:
    """Records of a batch by outcome.

    Attributes:
        ordered: admitted records, grouped by instrument, in order.
        trades: their columns, each instrument led by its lookback.
        rows: row of each of `ordered` in `trades`.
        late: records behind a later trade of their instrument.
        duplicates: number of records with a known id.
    """

    ordered: list[DecodedTrade]
    trades: features.TradeColumns
    rows: features.Ints
    late: list[DecodedTrade]
    duplicates: int


class LookbackState:
    """Lookbacks of all instruments of some partitions, and the next offset of each partition."""

    def __init__(self) -> None:
        """Start empty, without an offset for any partition."""
        self.lookbacks: dict[Instrument, Lookback] = {}
        self.next_offset: dict[TopicPartition, int] = {}

    def admit(self, records: Iterable[DecodedTrade]) -> Admission:
        """Add records in log order to the lookbacks."""
        groups: dict[Instrument, tuple[Lookback, list[DecodedTrade]]] = {}
        late: list[DecodedTrade] = []
        duplicates = 0
        for record in records:
            trade = record.trade
            instrument = instrument_of(trade)
            group = groups.get(instrument)
            if group is None:
                group = groups[instrument] = (self.lookbacks.setdefault(instrument, Lookback()), [])
            lookback, fresh = group
            if trade.trade_id in lookback.ids:
                duplicates += 1
                continue
            lookback.ids[trade.trade_id] = None
            order = order_key(trade)
            if order < lookback.last:
                late.append(record)
            else:
                lookback.append(trade, order)
                fresh.append(record)
        advanced = [group for group in groups.values() if group[1]]
        admission = _assemble(advanced, late, duplicates)
        for lookback, _ in advanced:
            lookback.trim()
        return admission


def _assemble(
    groups: Iterable[tuple[Lookback, list[DecodedTrade]]], late: list[DecodedTrade], duplicates: int
) -> Admission:
    times: list[int] = []
    prices: list[float] = []
    quantities: list[float] = []
    buys: list[bool] = []
    starts: list[int] = []
    rows: list[int] = []
    ordered: list[DecodedTrade] = []
    for lookback, records in groups:
        start = len(prices)
        times += lookback.traded_at_ms
        prices += lookback.price
        quantities += lookback.quantity
        buys += lookback.is_buy
        starts += [start] * len(lookback.price)
        rows += range(len(prices) - len(records), len(prices))
        ordered += records
    columns = features.TradeColumns(
        np.array(times, dtype=np.int64),
        np.array(prices, dtype=np.float64),
        np.array(quantities, dtype=np.float64),
        np.array(buys, dtype=bool),
        np.array(starts, dtype=np.int64),
    )
    return Admission(ordered, columns, np.array(rows, dtype=np.int64), late, duplicates)

"""The state of the stream: the tail of each symbol's trades that the longest feature looks back on.

Pure. `admit` is a function of the log alone, record after record in log order, so the state can
always be rebuilt by reading the log again, and batch boundaries never change a feature.
A trade that comes behind a later one of its symbol is late: stored and marked, never part of a tail.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from tapeline.model import features

from tapeline_spark.kafka.decode import Record

REMEMBERED_IDS: Final = 512
"""Ids a symbol remembers; an older duplicate is late and meets Elasticsearch's own check of the id."""

Key = tuple[str, str]
Order = tuple[int, int, int]


def order_of(trade: Any) -> Order:
    """Return the total order of a symbol's trades."""
    return trade.traded_at, trade.sequence or 0, trade.frame_index


@dataclass(slots=True)
class Tail:
    """One symbol's recent past, oldest first."""

    traded_at_ms: list[int] = field(default_factory=list)
    price: list[float] = field(default_factory=list)
    quantity: list[float] = field(default_factory=list)
    is_buy: list[bool] = field(default_factory=list)
    last: Order = (0, 0, 0)
    ids: dict[str, None] = field(default_factory=dict)

    def append(self, trade: Any, order: Order) -> None:
        """Add a trade that follows the last one."""
        self.traded_at_ms.append(trade.traded_at)
        self.price.append(float(trade.price))
        self.quantity.append(float(trade.quantity))
        self.is_buy.append(trade.side == "Buy")
        self.last = order

    def trim(self) -> None:
        """Forget what no later trade can look back on."""
        # The next trade is not older than the last one, and it is itself the newest of its window.
        floor = self.last[0] - features.LOOKBACK_MS
        surplus = max(0, len(self.price) - (features.LOOKBACK_TRADES - 1))
        while surplus < len(self.price) and self.traded_at_ms[surplus] < floor:
            surplus += 1
        if surplus:
            for column in (self.traded_at_ms, self.price, self.quantity, self.is_buy):
                del column[:surplus]
        for forgotten in list(self.ids)[: max(0, len(self.ids) - REMEMBERED_IDS)]:
            del self.ids[forgotten]


@dataclass(slots=True)
class Admission:
    """What became of the records of a batch.

    Attributes:
        ordered: admitted records, grouped by symbol, in order.
        trades: their columns, each symbol led by its tail.
        rows: row of each of `ordered` in `trades`.
        late: records behind a later trade of their symbol.
        duplicates: records whose id was seen before.
    """

    ordered: list[Record]
    trades: features.TradeColumns
    rows: features.Ints
    late: list[Record]
    duplicates: int


class Book:
    """The tails of all symbols of some partitions, and up to where the log is in them."""

    def __init__(self) -> None:
        """Start empty, expecting nothing of any partition."""
        self.tails: dict[Key, Tail] = {}
        self.next_offset: dict[int, int] = {}

    def admit(self, records: Iterable[Record]) -> Admission:
        """Take records in log order into the tails."""
        fresh: dict[Key, list[Record]] = {}
        late: list[Record] = []
        duplicates = 0
        for record in records:
            trade = record.trade
            key = (trade.market_type, trade.symbol)
            tail = self.tails.get(key)
            if tail is None:
                tail = self.tails[key] = Tail()
            if trade.trade_id in tail.ids:
                duplicates += 1
                continue
            tail.ids[trade.trade_id] = None
            order = order_of(trade)
            if order < tail.last:
                late.append(record)
            else:
                tail.append(trade, order)
                fresh.setdefault(key, []).append(record)
        admission = self._assemble(fresh, late, duplicates)
        for key in fresh:
            self.tails[key].trim()
        return admission

    def _assemble(self, fresh: dict[Key, list[Record]], late: list[Record], duplicates: int) -> Admission:
        times: list[int] = []
        prices: list[float] = []
        quantities: list[float] = []
        buys: list[bool] = []
        starts: list[int] = []
        rows: list[int] = []
        ordered: list[Record] = []
        for key, records in fresh.items():
            tail, start = self.tails[key], len(prices)
            times += tail.traded_at_ms
            prices += tail.price
            quantities += tail.quantity
            buys += tail.is_buy
            starts += [start] * len(tail.price)
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

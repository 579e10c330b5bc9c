"""Columns of stored trades, as Elasticsearch answers them: bytes in, a symbol's rows out. Pure.

An answer holds a list of one for each value. Read as dictionaries, 10,000 trades keep the garbage collector and with it
the other query of this process busy for 200 ms; as structs that it does not follow, 20 ms.
"""

from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np
from tapeline import names

from tapeline_spark.candles.listener import Key
from tapeline_spark.evaluation.scores import Rows


class Columns(msgspec.Struct, gc=False):
    """What is asked for of one trade; absent is what is null."""

    market_type: tuple[str]
    symbol: tuple[str]
    traded_at: tuple[str]
    """ms UTC; an answer writes dates as text."""
    frame_index: tuple[int]
    price: tuple[float]
    is_buy: tuple[bool]
    prediction_state: tuple[str]
    sequence: tuple[int] = (-1,)
    probability: tuple[float] = (np.nan,)
    prediction: tuple[int] = (-1,)
    model_digest: tuple[str] | None = None

    @property
    def key(self) -> Key:
        """Return market_type and symbol."""
        return self.market_type[0], self.symbol[0]


class Hit(msgspec.Struct, gc=False):
    """One trade, and its place in the answer."""

    fields: Columns
    sort: list[int]


class _Hits(msgspec.Struct):
    hits: list[Hit] = []


class _Answer(msgspec.Struct):
    hits: _Hits = msgspec.field(default_factory=_Hits)


FIELDS: Final = Columns.__struct_fields__
_decode = msgspec.json.Decoder(_Answer).decode


def hits(answer: bytes) -> list[Hit]:
    """Return the trades of one answer.

    Raises:
        msgspec.ValidationError: it is not what was asked for.
    """
    return _decode(answer).hits.hits


@dataclass(slots=True)
class Table:
    """The columns of one symbol, in the order in which its trades come."""

    traded_at_ms: list[int] = field(default_factory=list)
    sequence: list[int] = field(default_factory=list)
    frame_index: list[int] = field(default_factory=list)
    price: list[float] = field(default_factory=list)
    is_buy: list[bool] = field(default_factory=list)
    probability: list[float] = field(default_factory=list)
    prediction: list[int] = field(default_factory=list)
    model: list[str | None] = field(default_factory=list)

    def add(self, trade: Columns) -> None:
        """Take in one trade."""
        self.traded_at_ms.append(int(trade.traded_at[0]))
        self.sequence.append(trade.sequence[0])
        self.frame_index.append(trade.frame_index[0])
        self.price.append(trade.price[0])
        self.is_buy.append(trade.is_buy[0])
        is_said = trade.prediction_state[0] == names.STATE_OK
        self.probability.append(trade.probability[0] if is_said else np.nan)
        self.prediction.append(trade.prediction[0])
        self.model.append(trade.model_digest[0] if trade.model_digest else None)

    def rows(self) -> Rows:
        """Return them in the symbol's total order; a trade without a sequence comes first, as everywhere."""
        traded_at_ms = np.array(self.traded_at_ms, dtype=np.int64)
        keys = np.array(self.frame_index, dtype=np.int64), np.array(self.sequence, dtype=np.int64), traded_at_ms
        order = np.lexsort(keys)
        return Rows(
            traded_at_ms[order],
            np.array(self.price, dtype=np.float64)[order],
            np.array(self.is_buy, dtype=bool)[order],
            np.array(self.probability, dtype=np.float64)[order],
            np.array(self.prediction, dtype=np.int64)[order],
            [self.model[place] for place in order],
        )

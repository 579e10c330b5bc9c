"""Parses stored trades from Elasticsearch responses into rows per symbol. Pure.

A response holds each value as a list of one. Parsed into dictionaries, 10,000 trades keep the garbage collector, and
with it the other query of this process, busy for 200 ms; parsed into structs without garbage collection, 20 ms.
"""

from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np
from tapeline.enums import PredictionState
from tapeline.instrument import Instrument, instrument_of

from tapeline_spark.evaluation.scores import Rows


class TradeFields(msgspec.Struct, gc=False):
    """Fields of one trade that a search returns; a null field is absent."""

    venue: tuple[str]
    market_type: tuple[str]
    symbol: tuple[str]
    traded_at: tuple[str]
    """ms UTC; Elasticsearch returns dates as text."""
    frame_index: tuple[int]
    price: tuple[float]
    is_buy: tuple[bool]
    prediction_state: tuple[str]
    sequence: tuple[int] = (-1,)
    probability: tuple[float] = (np.nan,)
    prediction: tuple[int] = (-1,)
    model_digest: tuple[str] | None = None

    @property
    def instrument(self) -> Instrument:
        """Return what was traded."""
        return instrument_of(self.venue[0], self.market_type[0], self.symbol[0])


class Hit(msgspec.Struct, gc=False):
    """One trade, and its sort values."""

    fields: TradeFields
    sort: list[int]


class _Hits(msgspec.Struct):
    hits: list[Hit] = []


class _SearchResponse(msgspec.Struct):
    hits: _Hits = msgspec.field(default_factory=_Hits)


FIELDS: Final = TradeFields.__struct_fields__
_decode = msgspec.json.Decoder(_SearchResponse).decode


def parse_hits(response: bytes) -> list[Hit]:
    """Return the trades of one response.

    Raises:
        msgspec.ValidationError: the response has other fields than requested.
    """
    return _decode(response).hits.hits


@dataclass(slots=True)
class SymbolTrades:
    """Columns of one symbol, in the order of the search."""

    traded_at_ms: list[int] = field(default_factory=list)
    sequence: list[int] = field(default_factory=list)
    frame_index: list[int] = field(default_factory=list)
    price: list[float] = field(default_factory=list)
    is_buy: list[bool] = field(default_factory=list)
    probability: list[float] = field(default_factory=list)
    prediction: list[int] = field(default_factory=list)
    model: list[str | None] = field(default_factory=list)

    def add(self, trade: TradeFields) -> None:
        """Append one trade."""
        self.traded_at_ms.append(int(trade.traded_at[0]))
        self.sequence.append(trade.sequence[0])
        self.frame_index.append(trade.frame_index[0])
        self.price.append(trade.price[0])
        self.is_buy.append(trade.is_buy[0])
        is_predicted = trade.prediction_state[0] == PredictionState.OK
        self.probability.append(trade.probability[0] if is_predicted else np.nan)
        self.prediction.append(trade.prediction[0])
        self.model.append(trade.model_digest[0] if trade.model_digest else None)

    def rows(self) -> Rows:
        """Return the rows in the symbol's total order; a trade without a sequence comes first."""
        traded_at_ms = np.array(self.traded_at_ms, dtype=np.int64)
        keys = np.array(self.frame_index, dtype=np.int64), np.array(self.sequence, dtype=np.int64), traded_at_ms
        order = np.lexsort(keys)
        return Rows(
            traded_at_ms[order],
            np.array(self.price, dtype=np.float64)[order],
            np.array(self.is_buy, dtype=bool)[order],
            np.array(self.probability, dtype=np.float64)[order],
            np.array(self.prediction, dtype=np.int64)[order],
            [self.model[position] for position in order],
        )

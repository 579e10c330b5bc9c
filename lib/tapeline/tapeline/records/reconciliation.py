"""Reconciliation records: how many trades of an instrument and minute each stage counted.

The minute is that of the trades' own time. Producers report what they read and what Kafka acknowledged (`Count`, on
names.TOPIC_COUNTS); the stream counts the log and queries Elasticsearch. States: enums.ReconciliationState.
"""

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from tapeline.instrument import SYMBOL_PATTERN, Instrument, instrument_of
from tapeline.records.fields import EpochMs, MarketType
from tapeline.records.mapping_types import DATE, KEYWORD, LONG

_Counted = Annotated[int, Field(ge=0)]


class Count(BaseModel):
    """What one producer counted of one symbol and minute so far: totals, so that the newest says all."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    producer: Annotated[str, Field(min_length=1, max_length=64)]
    """Of one process: another one starts from zero under another name."""
    venue: str
    market_type: MarketType
    symbol: Annotated[str, Field(pattern=SYMBOL_PATTERN)]
    minute: EpochMs
    """Start of the minute of the trades' own time."""
    received: _Counted
    """Distinct trades read from the exchange."""
    duplicates: _Counted
    """Read again, and dropped."""
    produced: _Counted
    """Taken by Kafka."""
    counted_at: EpochMs
    """By the producer's clock, ms UTC."""

    @property
    def instrument(self) -> Instrument:
        """Whose trades the record speaks of."""
        return instrument_of(self.venue, self.market_type, self.symbol)


MAPPING: Final[dict[str, Any]] = {
    "dynamic": "strict",
    "properties": {
        # Start of the minute.
        "@timestamp": DATE,
        **dict.fromkeys(("venue", "market_type", "symbol", "state"), KEYWORD),
        # Of all producers: read from the exchange, taken by Kafka.
        **dict.fromkeys(("received", "produced"), LONG),
        # Records in Kafka's log; distinct trades among them; documents in Elasticsearch.
        **dict.fromkeys(("logged", "distinct", "indexed"), LONG),
        # Records of this symbol that became rejects; gaps of the feed that touch the minute.
        **dict.fromkeys(("rejected", "gaps"), LONG),
        "updated_at": DATE,
    },
}


def identity(instrument: Instrument, minute_ms: int) -> str:
    """Return the document id: one per instrument and minute."""
    return f"{instrument.venue}|{instrument.market_type}|{instrument.symbol}|{minute_ms}"

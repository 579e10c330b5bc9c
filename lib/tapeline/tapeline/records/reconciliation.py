"""Whether the books of one symbol and minute balance: what each hand counted of the same trades.

The minute is that of the trades' own time. Producers tell what they read and what Kafka took (`Count`, on
names.TOPIC_COUNTS); the stream counts the log and asks Elasticsearch.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from tapeline import trade

_EpochMs = Annotated[int, Field(ge=trade.EARLIEST_MS, le=trade.LATEST_MS)]
_Counted = Annotated[int, Field(ge=0)]
_KEYWORD: Final = {"type": "keyword", "ignore_above": 256}
_DATE: Final = {"type": "date", "format": "epoch_millis"}
_LONG: Final = {"type": "long"}

STATES: Final = ("open", "complete", "gap", "incomplete")
"""`open`: the minute or one of its hands is not done; `gap`: they agree, and the feed had a hole; `incomplete`: they
do not agree, or something was rejected."""


UNKNOWN_SYMBOL: Final = "?"
"""Stands for the symbol of what could not be read so far as to know it; no exchange has such a one."""


class Count(BaseModel):
    """What one producer counted of one symbol and minute so far: totals, so that the newest says all."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    producer: Annotated[str, Field(min_length=1, max_length=64)]
    """Of one process: another one starts from zero under another name."""
    venue: str
    market_type: Literal["spot", "linear"]
    symbol: Annotated[str, Field(pattern=trade.SYMBOL_PATTERN)]
    minute: _EpochMs
    """Start of the minute of the trades' own time."""
    received: _Counted
    """Distinct trades read from the exchange."""
    duplicates: _Counted
    """Read again, and dropped."""
    produced: _Counted
    """Taken by Kafka."""
    counted_at: _EpochMs


MAPPING: Final[dict[str, Any]] = {
    "dynamic": "strict",
    "properties": {
        # Start of the minute.
        "@timestamp": _DATE,
        **dict.fromkeys(("venue", "market_type", "symbol", "state"), _KEYWORD),
        # Of all producers: read from the exchange, taken by Kafka.
        **dict.fromkeys(("received", "produced"), _LONG),
        # Records in Kafka's log; distinct trades among them; documents in Elasticsearch.
        **dict.fromkeys(("logged", "distinct", "indexed"), _LONG),
        # Records of this symbol that became rejects; holes of the feed that touch the minute.
        **dict.fromkeys(("rejected", "gaps"), _LONG),
        "updated_at": _DATE,
    },
}


def identity(venue: str, market_type: str, symbol: str, minute_ms: int) -> str:
    """Return the document id: one per symbol and minute."""
    return f"{venue}|{market_type}|{symbol}|{minute_ms}"

"""Whether the books of one symbol and minute balance. Pure: what each hand counted in, a state and a document out.

The rule: producers tell no more than the log holds (one that was killed tells less), every distinct trade of the log
is a document and no document is without its record, nothing was rejected, and the feed had no hole.
To change the rule: `judge`.
"""

from dataclasses import asdict, dataclass
from typing import Any, Final

from tapeline import names
from tapeline.records import candle

GRACE_MS: Final = 10_000
"""After its end a minute stays open for so long, by the clock of the log: the producers' last counts and the answer
to a break of the feed come within it."""
PATIENCE_MS: Final = 30_000
"""Hands that do not agree are waited for so long after the last of them moved, by our clock."""


@dataclass(frozen=True, slots=True)
class Hands:
    """What is known of one symbol and minute.

    Attributes:
        received: distinct trades the producers read from the exchange.
        produced: of those, what they know Kafka has taken.
        logged: records in the log.
        distinct: trades among them, without those that came too late to be told from copies.
        missed: those that came too late.
        indexed: documents in Elasticsearch.
        rejected: records that became rejects.
        gaps: holes of the feed that touch the minute.
    """

    received: int = 0
    produced: int = 0
    logged: int = 0
    distinct: int = 0
    missed: int = 0
    indexed: int = 0
    rejected: int = 0
    gaps: int = 0

    @property
    def is_indexed(self) -> bool:
        """Whether there are as many documents as trades."""
        return self.distinct <= self.indexed <= self.distinct + self.missed


@dataclass(frozen=True, slots=True)
class Moment:
    """Where the hands stand in time.

    Attributes:
        log_ms: newest trade of the log, ms UTC.
        indexed_ms: newest trade in Elasticsearch, ms UTC.
        still_ms: how long no hand has moved, by our clock.
        is_caught_up: the log was read to its end; before that one symbol can be hours ahead of another.
        is_owed: a producer that lives has read trades that it does not know Kafka to have taken.
    """

    log_ms: int
    indexed_ms: int
    still_ms: int
    is_caught_up: bool
    is_owed: bool


def is_over(minute_ms: int, log_ms: int) -> bool:
    """Return whether a minute has ended, its grace included, by the newest trade of the log."""
    return log_ms >= minute_ms + candle.MINUTE_MS + GRACE_MS


def judge(minute_ms: int, hands: Hands, moment: Moment) -> str:
    """Return one of tapeline.completeness.STATES.

    Args:
        minute_ms: start of the minute, ms UTC.
        hands: what was counted.
        moment: where they stand in time.
    """
    if not is_over(minute_ms, moment.log_ms):
        return "open"
    if hands.rejected:
        return "incomplete"
    # A hole in the feed is also what a producer reports of trades that it had to drop.
    is_owed = moment.is_owed and not hands.gaps
    if hands.produced <= hands.logged and hands.is_indexed and not is_owed:
        return "gap" if hands.gaps else "complete"
    is_behind = not moment.is_caught_up or moment.indexed_ms < minute_ms + candle.MINUTE_MS
    return "open" if is_behind or moment.still_ms < PATIENCE_MS else "incomplete"


def document(key: tuple[str, str], minute_ms: int, hands: Hands, state: str) -> dict[str, Any]:
    """Return the document of one symbol and minute, without `updated_at`.

    Args:
        key: market_type and symbol.
        minute_ms: start of the minute, ms UTC.
        hands: what was counted.
        state: what `judge` said.
    """
    market_type, symbol = key
    numbers = {name: value for name, value in asdict(hands).items() if name != "missed"}
    where = {"venue": names.VENUE, "market_type": market_type, "symbol": symbol}
    return {"@timestamp": minute_ms, **where, "state": state, **numbers}


def amended(key: tuple[str, str], minute_ms: int, stands: dict[str, Any] | None, gaps: int) -> dict[str, Any]:
    """Return the document of a minute that was settled before one heard of a hole in it.

    Args:
        key: market_type and symbol.
        minute_ms: start of the minute, ms UTC.
        stands: the document as it stands; None where there is none.
        gaps: holes known now to touch the minute.
    """
    if stands is None:
        return document(key, minute_ms, Hands(gaps=gaps), "gap")
    state = stands["state"] if stands["state"] == "incomplete" else "gap"
    return {**stands, "gaps": max(int(stands["gaps"]), gaps), "state": state}

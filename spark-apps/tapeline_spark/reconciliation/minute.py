"""What is remembered of one symbol and minute, and of everything; saved with the snapshot. Pure."""

import msgspec

from tapeline_spark.candles.listener import Candle
from tapeline_spark.evaluation.scores import Head
from tapeline_spark.reconciliation.rule import Hands


class Minute(msgspec.Struct):
    """One symbol and minute."""

    distinct: int = 0
    missed: int = 0
    logged: int = 0
    """Of the log; see tapeline_spark.candles.listener.Candle."""
    is_first: bool = False
    """The log begins in this minute, or the symbol does."""
    rejected: int = 0
    counts: dict[str, tuple[int, int]] = msgspec.field(default_factory=dict)
    """Received and produced, by producer."""
    is_scored: bool = False
    """No prediction of it waits for anything."""
    head: Head | None = None
    """Of its documents as they were read last."""
    seen: Hands | None = None
    """What the last look found, and when it was and the hands moved last, by our clock, ms UTC."""
    looked_ms: int = 0
    moved_ms: int = 0
    state: str = ""

    @property
    def trades(self) -> int:
        """Trades at the most: whether a missed one is a copy is not known."""
        return self.distinct + self.missed

    def take(self, one: Candle) -> bool:
        """Take a candle over; return whether its trades are others than before."""
        is_other = (self.distinct, self.missed) != (one.trades, one.missed_trades)
        self.distinct, self.missed, self.logged = one.trades, one.missed_trades, one.logged
        self.is_first = one.history == 1
        return is_other

    def miss(self, missed: int) -> bool:
        """Take note of trades that came too late for the candle, all of them so far; return whether there are more."""
        is_other = missed != self.missed
        self.logged += missed - self.missed
        self.missed = missed
        return is_other


class Hole(msgspec.Struct):
    """A hole as it is kept."""

    identity: str
    from_ms: int
    to_ms: int


class State(msgspec.Struct):
    """All open books; symbols are written `market_type|symbol`."""

    newest_ms: int = 0
    is_caught_up: bool = False
    minutes: dict[str, dict[int, Minute]] = msgspec.field(default_factory=dict)
    holes: dict[str, list[Hole]] = msgspec.field(default_factory=dict)
    heard_ms: dict[str, int] = msgspec.field(default_factory=dict)
    amend: dict[str, list[int]] = msgspec.field(default_factory=dict)

"""State of one instrument and minute in reconciliation, and a known gap. Pure."""

import msgspec

from tapeline_spark.candles.listener import Candle
from tapeline_spark.evaluation.scores import MinuteBoundary
from tapeline_spark.reconciliation.rule import StageCounts


class MinuteState(msgspec.Struct):
    """State of one instrument and minute."""

    distinct: int = 0
    missed: int = 0
    logged: int = 0
    """Counts of the log; see tapeline_spark.candles.listener.Candle."""
    is_first: bool = False
    """The log or the symbol begins in this minute."""
    rejected: int = 0
    counts: dict[str, tuple[int, int]] = msgspec.field(default_factory=dict)
    """(received, produced) by producer."""
    is_scored: bool = False
    """No prediction of this minute is pending."""
    boundary: MinuteBoundary | None = None
    """Of its documents, as of the last read."""
    last_counts: StageCounts | None = None
    """Counts of the last check; then the times of that check and of the last change, local clock, ms UTC."""
    checked_ms: int = 0
    changed_ms: int = 0
    state: str = ""

    @property
    def trades(self) -> int:
        """Upper bound of distinct trades: a missed one may be a duplicate."""
        return self.distinct + self.missed

    def update(self, one: Candle) -> bool:
        """Take over the counts of a candle; return whether its number of trades changed."""
        is_other = (self.distinct, self.missed) != (one.trades, one.missed_trades)
        self.distinct, self.missed, self.logged = one.trades, one.missed_trades, one.logged
        self.is_first = one.history == 1
        return is_other

    def update_missed(self, missed: int) -> bool:
        """Set the total of trades that came too late for the candle; return whether it changed."""
        is_other = missed != self.missed
        self.logged += missed - self.missed
        self.missed = missed
        return is_other


class KnownGap(msgspec.Struct):
    """A gap of an instrument's feed: identity, and the times of its two end trades, ms UTC."""

    identity: str
    from_traded_at: int
    to_traded_at: int

"""State of one instrument and minute in reconciliation. Pure."""

import msgspec

from tapeline_spark.candles.listener import Candle
from tapeline_spark.minutes.minute_trades import MinuteTrades
from tapeline_spark.reconciliation.rule import StageCounts


class MinuteState(MinuteTrades):
    """State of one instrument and minute."""

    logged: int = 0
    """Count of the log; see tapeline_spark.candles.listener.Candle."""
    is_first: bool = False
    """The log or the symbol begins in this minute."""
    rejected: int = 0
    counts: dict[str, tuple[int, int]] = msgspec.field(default_factory=dict)
    """(received, produced) by producer."""
    last_counts: StageCounts | None = None
    """Counts of the last check; then the times of that check and of the last change, local clock, ms UTC."""
    checked_ms: int = 0
    changed_ms: int = 0
    state: str = ""

    def update(self, one: Candle) -> bool:
        """Take over the counts of a candle; return whether its number of trades changed."""
        self.logged, self.is_first = one.logged, one.history == 1
        return super().update(one)

    def update_missed(self, missed: int) -> bool:
        """Set the total of trades that came too late for the candle; return whether it changed."""
        self.logged += missed - self.missed
        return super().update_missed(missed)

"""Trades of a minute by the log: their number, when the minute is over, and when it can no longer change. Pure."""

from typing import Final

import msgspec
from tapeline.records import candle

from tapeline_spark.candles.listener import Candle

GRACE_MS: Final = 10_000
"""How long a minute stays open after its end, by the clock of its venue: the producers' last counts and the gap records
of a disconnect arrive within it."""
FINAL_AFTER_MS: Final = 60_000
"""How long the counts of a minute must be unchanged before the minute is dropped, by the local clock."""
_AFTER_LATE_MS: Final = 5 * candle.MINUTE_MS


class MinuteTrades(msgspec.Struct):
    """Number of trades of one instrument and minute; a listener's state of a minute adds fields of its own."""

    distinct: int = 0
    missed: int = 0
    """Counts of the log; see tapeline_spark.candles.listener.Candle."""

    def update(self, one: Candle) -> bool:
        """Take over the counts of a candle; return whether its number of trades changed."""
        is_other = (self.distinct, self.missed) != (one.trades, one.missed_trades)
        self.distinct, self.missed = one.trades, one.missed_trades
        return is_other

    def update_missed(self, missed: int) -> bool:
        """Set the total of trades that came too late for the candle; return whether it changed."""
        is_other = missed != self.missed
        self.missed = missed
        return is_other


def is_over(minute_ms: int, log_ms: int) -> bool:
    """Return whether a minute and its grace period are over, by the newest trade of its venue."""
    return log_ms >= minute_ms + candle.MINUTE_MS + GRACE_MS


def retention_ms(late_minutes: int) -> int:
    """Return how long after its end late trades may change a minute, by the clock of its venue, ms.

    Args:
        late_minutes: how late a trade still enters its candle.
    """
    return late_minutes * candle.MINUTE_MS + _AFTER_LATE_MS


def first_changeable_ms(log_ms: int, keep_ms: int) -> int:
    """Return a time, ms UTC: late trades can no longer change a minute that starts before it.

    Args:
        log_ms: newest trade of the venue, ms UTC.
        keep_ms: of `retention_ms`.
    """
    return log_ms - keep_ms - candle.MINUTE_MS


def are_all_indexed(distinct: int, missed: int, indexed: int) -> bool:
    """Return whether the number of documents matches the number of trades.

    Args:
        distinct: distinct trades.
        missed: trades too late to be checked for duplicates.
        indexed: documents.
    """
    return distinct <= indexed <= distinct + missed

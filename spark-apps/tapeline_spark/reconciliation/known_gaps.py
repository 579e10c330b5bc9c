"""Gaps of each symbol's feed, kept as long as an open minute can touch one. Pure."""

from collections.abc import Sequence

from tapeline.records import candle
from tapeline.records.gap import Gap, touches

from tapeline_spark.candles.listener import Key
from tapeline_spark.reconciliation.minute import KnownGap, key_to_text


class KnownGaps:
    """A view of `ReconciliationState.gaps`."""

    def __init__(self, by_symbol: dict[str, list[KnownGap]]) -> None:
        """Use `by_symbol`, which is changed in place."""
        self._by_symbol = by_symbol

    def add(self, gap: Gap) -> bool:
        """Add a gap; return whether it is new."""
        known = self._by_symbol.setdefault(key_to_text((gap.market_type, gap.symbol)), [])
        if any(other.identity == gap.identity() for other in known):
            return False
        known.append(KnownGap(gap.identity(), gap.from_traded_at, gap.to_traded_at))
        return True

    def of_symbol(self, key: Key) -> Sequence[KnownGap]:
        """Return the gaps of a symbol."""
        return self._by_symbol.get(key_to_text(key), ())

    def count(self, key: Key, minute_ms: int) -> int:
        """Return how many gaps touch a minute."""
        end_ms = minute_ms + candle.MINUTE_MS
        return sum(touches(gap, minute_ms, end_ms) for gap in self.of_symbol(key))

    def symbols(self) -> list[str]:
        """Return the symbols with gaps, as text."""
        return list(self._by_symbol)

    def drop(self, text: str, before_ms: int) -> None:
        """Drop the gaps of a symbol that end before a time.

        Args:
            text: of the symbol, as `symbols` returns it.
            before_ms: ms UTC.
        """
        self._by_symbol[text] = [gap for gap in self._by_symbol[text] if gap.to_traded_at >= before_ms]
        if not self._by_symbol[text]:
            del self._by_symbol[text]

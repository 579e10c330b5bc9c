"""State of one instrument and minute in evaluation. Pure."""

from tapeline_spark.evaluation.scores import MinuteBoundary
from tapeline_spark.minutes.minute_trades import MinuteTrades, are_all_indexed


class MinuteEvaluation(MinuteTrades):
    """State of one instrument and minute."""

    is_scored: bool = False
    """No prediction of this minute is pending."""
    boundary: MinuteBoundary | None = None
    """Of its documents, as of the last read."""
    indexed: int | None = None
    """Documents by the last count; None: not counted since the number of trades changed."""
    is_behind: bool = True
    """At the last count, Elasticsearch lacked later trades of the venue, too: documents of this minute may follow."""
    counted_ms: int = 0
    """Time of the last count, then of the last count that differed from the one before; local clock, ms UTC."""
    changed_ms: int = 0

    @property
    def trades(self) -> int:
        """Upper bound of distinct trades: a missed one may be a duplicate."""
        return self.distinct + self.missed

    @property
    def is_indexed(self) -> bool:
        """Whether Elasticsearch held all documents of this minute at the last count."""
        return bool(self.indexed) and are_all_indexed(self.distinct, self.missed, self.indexed or 0)

    def record_count(self, indexed: int, is_behind: bool, now_ms: int) -> None:
        """Record the number of documents.

        Args:
            indexed: documents in Elasticsearch.
            is_behind: see the field.
            now_ms: local clock, ms UTC.
        """
        if (self.indexed, self.is_behind) != (indexed, is_behind):
            self.changed_ms = now_ms
        self.indexed, self.is_behind, self.counted_ms = indexed, is_behind, now_ms

    def invalidate_count(self) -> None:
        """Discard the last count, since the number of trades changed."""
        self.indexed, self.counted_ms = None, 0

    def invalidate_scores(self) -> None:
        """Discard the boundary; the documents are read again."""
        self.is_scored, self.boundary = False, None

"""Counts the records of a batch by outcome. Pure.

`check` runs before a batch is committed: a mismatch is a defect, not a statistic.
"""

from collections import Counter
from dataclasses import dataclass, field, fields

from tapeline.enums import PredictionState

from tapeline_spark.errors import BatchCountMismatch


@dataclass(slots=True)
class BatchCounts:
    """Records of one batch, by outcome.

    Attributes:
        reencoded: of the readable trades, whatever their outcome: those that held unknown fields.
    """

    read: int = 0
    unreadable: int = 0
    duplicate: int = 0
    created: int = 0
    conflict: int = 0
    refused: int = 0
    reencoded: int = 0
    gaps: int = 0
    rejects: int = 0
    by_state: Counter[PredictionState] = field(default_factory=Counter)

    def add(self, other: "BatchCounts") -> None:
        """Add the counts of another partition."""
        for item in fields(self):
            if item.name == "by_state":
                self.by_state.update(other.by_state)
            else:
                setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))

    def check(self) -> None:
        """Compare the records read with the sum of the outcomes.

        Raises:
            BatchCountMismatch: a record is missing, or counted twice.
        """
        stored = self.created + self.conflict + self.refused
        outcome = self.unreadable + self.duplicate + stored
        if self.read != outcome:
            raise BatchCountMismatch(f"read {self.read}, accounted for {outcome}: {self.as_dict()}")
        if stored != self.by_state.total():
            raise BatchCountMismatch(f"sent {stored}, with a state {self.by_state.total()}: {self.as_dict()}")

    def as_dict(self) -> dict[str, object]:
        """Return the counts for a log line."""
        plain = {item.name: getattr(self, item.name) for item in fields(self)}
        return {**plain, "by_state": dict(self.by_state)}

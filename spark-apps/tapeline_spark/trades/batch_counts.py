"""The count of a batch: every record that came in is one of the things that can become of it.

Pure. `check` is called before a batch is done: an imbalance is a defect, not a statistic.
"""

from collections import Counter
from dataclasses import dataclass, field, fields

from tapeline_spark.errors import BooksUnbalanced


@dataclass(slots=True)
class BatchCounts:
    """Records of one batch, by what became of them; all counts of records, none of seconds."""

    read: int = 0
    unreadable: int = 0
    duplicate: int = 0
    created: int = 0
    conflict: int = 0
    refused: int = 0
    gaps: int = 0
    rejects: int = 0
    by_state: Counter[str] = field(default_factory=Counter)

    def add(self, other: "BatchCounts") -> None:
        """Add another partition's counts to this one."""
        for item in fields(self):
            if item.name == "by_state":
                self.by_state.update(other.by_state)
            else:
                setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))

    def check(self) -> None:
        """Compare what came in with what became of it.

        Raises:
            BooksUnbalanced: a record is unaccounted for, or counted twice.
        """
        stored = self.created + self.conflict + self.refused
        outcome = self.unreadable + self.duplicate + stored
        if self.read != outcome:
            raise BooksUnbalanced(f"read {self.read}, accounted for {outcome}: {self.as_dict()}")
        if stored != self.by_state.total():
            raise BooksUnbalanced(f"sent {stored}, with a state {self.by_state.total()}: {self.as_dict()}")

    def as_dict(self) -> dict[str, object]:
        """Return the counts for a log line."""
        plain = {item.name: getattr(self, item.name) for item in fields(self)}
        return {**plain, "by_state": dict(self.by_state)}

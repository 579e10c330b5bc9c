"""What Elasticsearch said of each document of a bulk request. Pure.

HTTP 200 says nothing: every item has its own status. 201 is stored, 200 written over. 409 is stored already, or a
fuller one is, which is what a replay must find. 400 is a document that will never fit. 429 and 5xx will pass.
Anything else (403 read-only, 404 no such index) is for a person.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tapeline_spark.elastic.documents import Operation
from tapeline_spark.errors import WriteRefused

_PASSING: Final = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(slots=True)
class Outcome:
    """One bulk answer, item by item.

    Attributes:
        created: stored, or written over.
        conflict: what stands was left as it is.
        absent: there was no such document to update.
        retry: to be sent again.
        unfit: never to be taken, and why.
        last_reason: of those to be sent again.
    """

    created: int = 0
    conflict: int = 0
    absent: int = 0
    retry: list[Operation] = field(default_factory=list)
    unfit: list[tuple[Operation, str]] = field(default_factory=list)
    last_reason: str = ""

    def add(self, other: "Outcome") -> None:
        """Count what is settled of another answer too; what is to be sent again is its sender's affair."""
        self.created += other.created
        self.conflict += other.conflict
        self.absent += other.absent
        self.unfit += other.unfit


def classify(operations: Sequence[Operation], answer: dict[str, Any]) -> Outcome:
    """Sort a bulk answer's items by what has to be done.

    Args:
        operations: what was sent, in order.
        answer: the body, reduced to `errors` and each item's `status` and `error`.

    Raises:
        WriteRefused: an item was refused in a way that repeating will not change,
            or the answer has another number of items than was sent.
    """
    if answer.get("errors") is False:
        return Outcome(created=len(operations))
    items = answer.get("items", [])
    if len(items) != len(operations):
        raise WriteRefused("bulk", 200, f"{len(operations)} documents were sent, {len(items)} answered")
    outcome = Outcome()
    for operation, item in zip(operations, items, strict=True):
        result = item[operation.kind]
        _place(outcome, operation, int(result["status"]), result.get("error") or {})
    return outcome


def _place(outcome: Outcome, operation: Operation, status: int, error: dict[str, Any]) -> None:
    reason = f"{error.get('type', 'unknown')}: {error.get('reason', 'no reason given')}"
    if status in (200, 201):
        outcome.created += 1
    elif status == 409 and operation.kind != "update":
        outcome.conflict += 1
    elif operation.kind == "update" and error.get("type") == "document_missing_exception":
        outcome.absent += 1
    elif status in _PASSING or status == 409:
        # An update reads and writes; 409 says that somebody else wrote in between.
        outcome.retry.append(operation)
        outcome.last_reason = reason
    elif status == 400:
        outcome.unfit.append((operation, reason))
    else:
        raise WriteRefused(operation.index, status, reason)

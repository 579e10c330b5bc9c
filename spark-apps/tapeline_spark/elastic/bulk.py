"""Classifies the items of a bulk response. Pure.

HTTP 200 means nothing: every item has its own status. 201: created, 200: overwritten. 409: already stored, or a more
complete version is, as expected in a replay. 400: the document never fits the mapping. 429 and 5xx: transient.
Anything else (403 read-only, 404 no such index) needs an operator.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tapeline_clients import http

from tapeline_spark.elastic.documents import Operation
from tapeline_spark.errors import WriteRefused


@dataclass(slots=True)
class Outcome:
    """Counts of one bulk response.

    Attributes:
        created: created or overwritten.
        conflict: the stored document was kept.
        absent: the document to update does not exist.
        retry: to send again.
        unfit: documents that never fit the mapping, with the reason.
        last_reason: of the last item to send again.
    """

    created: int = 0
    conflict: int = 0
    absent: int = 0
    retry: list[Operation] = field(default_factory=list)
    unfit: list[tuple[Operation, str]] = field(default_factory=list)
    last_reason: str = ""

    def add(self, other: "Outcome") -> None:
        """Add the final counts of another response; its `retry` is left to the caller."""
        self.created += other.created
        self.conflict += other.conflict
        self.absent += other.absent
        self.unfit += other.unfit


def classify(operations: Sequence[Operation], response: dict[str, Any]) -> Outcome:
    """Classify the items of a bulk response.

    Args:
        operations: sent, in order.
        response: the body, reduced to `errors` and each item's `status` and `error`.

    Raises:
        WriteRefused: an item was refused permanently, or the number of items differs from what was sent.
    """
    if response.get("errors") is False:
        return Outcome(created=len(operations))
    items = response.get("items", [])
    if len(items) != len(operations):
        raise WriteRefused("bulk", 200, f"{len(operations)} documents were sent, {len(items)} answered")
    outcome = Outcome()
    for operation, item in zip(operations, items, strict=True):
        result = item[operation.kind]
        _add_item(outcome, operation, int(result["status"]), result.get("error") or {})
    return outcome


def _add_item(outcome: Outcome, operation: Operation, status: int, error: dict[str, Any]) -> None:
    reason = f"{error.get('type', 'unknown')}: {error.get('reason', 'no reason given')}"
    if status in (200, 201):
        outcome.created += 1
    elif status == 409 and operation.kind != "update":
        outcome.conflict += 1
    elif operation.kind == "update" and error.get("type") == "document_missing_exception":
        outcome.absent += 1
    elif http.is_transient(status) or status == 409:
        # An update reads and writes; 409 means that another writer came in between.
        outcome.retry.append(operation)
        outcome.last_reason = reason
    elif status == 400:
        outcome.unfit.append((operation, reason))
    else:
        raise WriteRefused(operation.index, status, reason)

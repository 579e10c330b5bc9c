"""Reconciles the simulator's ledger with the documents in Elasticsearch, trade by trade.

Pure. Our own counters are not an input: the ledger is the exchange's, the documents are read back from
Elasticsearch. A trade is lost when it is in neither the index nor a gap. A gap must not cover an indexed trade.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from tapeline.enums import PredictionState
from tapeline.instrument import Instrument

Order = tuple[int, int, int]
_MAX_EXAMPLES = 20


class LedgerTrade(NamedTuple):
    """One row of the simulator's ledger."""

    identity: str
    instrument: Instrument
    traded_at: int
    price: str
    quantity: str
    side: str


class IndexedTrade(NamedTuple):
    """One trade document of Elasticsearch."""

    identity: str
    instrument: Instrument
    order: Order
    price: str
    quantity: str
    side: str
    state: str
    probability: float | None
    model_digest: str | None


class IndexedGap(NamedTuple):
    """One gap document. Both ends are exclusive; the first end may be known by its time only."""

    instrument: Instrument
    from_identity: str | None
    from_traded_at: int
    to_identity: str


@dataclass(slots=True)
class ReconciliationReport:
    """Result of a reconciliation. The counts are complete; `examples` holds the first few identities of each defect.

    Attributes:
        sent: distinct trades in the ledger.
        indexed: trade documents.
        covered: missing trades inside a gap.
        lost: missing trades outside every gap.
        doubled: identities with more than one document.
        invented: documents of trades that are not in the ledger.
        altered: documents whose price, quantity or side differs from the ledger.
        misordered: trades whose position among their instrument's documents differs from the ledger.
        overclaimed: indexed trades inside a gap.
        unfounded: documents with a probability but no model, or with neither a probability nor a reason.
        by_state: documents by prediction state.
        by_model: scored documents by model digest.
    """

    sent: int = 0
    indexed: int = 0
    covered: int = 0
    lost: int = 0
    doubled: int = 0
    invented: int = 0
    altered: int = 0
    misordered: int = 0
    overclaimed: int = 0
    unfounded: int = 0
    by_state: Counter[str] = field(default_factory=Counter)
    by_model: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def record_defect(self, defect: str, identity: str) -> None:
        """Count one defect; keep the first few identities of its kind."""
        setattr(self, defect, getattr(self, defect) + 1)
        if len(self.examples[defect]) < _MAX_EXAMPLES:
            self.examples[defect].append(identity)

    def is_reconciled(self) -> bool:
        """Return whether there is no defect."""
        defects = (self.lost, self.doubled, self.invented, self.altered, self.misordered)
        return not any((*defects, self.overclaimed, self.unfounded))

    def as_dict(self) -> dict[str, Any]:
        """Return every field as plain JSON types."""
        plain = {item.name: getattr(self, item.name) for item in fields(self)}
        mappings = {name: dict(plain[name]) for name in ("by_state", "by_model", "examples")}
        return plain | mappings


def reconcile(
    sent: Iterable[LedgerTrade] | None, stored: Iterable[IndexedTrade], gaps: Iterable[IndexedGap]
) -> ReconciliationReport:
    """Compare the ledger with the documents.

    Args:
        sent: the ledger in its order; None where the exchange keeps none (the real one).
        stored: every document of every daily index.
        gaps: every gap document.
    """
    report = ReconciliationReport()
    documents: dict[str, IndexedTrade] = {}
    for document in stored:
        report.indexed += 1
        if document.identity in documents:
            report.record_defect("doubled", document.identity)
        documents[document.identity] = document
        _check_prediction(report, document)
    if sent is None:
        return report
    ledger: dict[str, LedgerTrade] = {}
    for row in sent:
        ledger.setdefault(row.identity, row)
    report.sent = len(ledger)
    for identity in documents.keys() - ledger.keys():
        report.record_defect("invented", identity)
    by_instrument: dict[Instrument, list[LedgerTrade]] = defaultdict(list)
    for row in ledger.values():
        by_instrument[row.instrument].append(row)
    inside = _identities_inside_gaps(by_instrument, gaps)
    _compare(report, ledger, documents, inside)
    _compare_order(report, by_instrument, documents)
    return report


def _check_prediction(report: ReconciliationReport, document: IndexedTrade) -> None:
    report.by_state[document.state] += 1
    scored = document.state == PredictionState.OK
    is_complete = document.probability is not None and bool(document.model_digest)
    is_absent = document.probability is None and document.model_digest is None
    if scored and is_complete:
        report.by_model[str(document.model_digest)] += 1
    if (scored and not is_complete) or (not scored and not is_absent):
        report.record_defect("unfounded", document.identity)


def _compare(
    report: ReconciliationReport, ledger: dict[str, LedgerTrade], documents: dict[str, IndexedTrade], inside: set[str]
) -> None:
    for identity, row in ledger.items():
        document = documents.get(identity)
        if document is None:
            if identity in inside:
                report.covered += 1
            else:
                report.record_defect("lost", identity)
            continue
        if identity in inside:
            report.record_defect("overclaimed", identity)
        if (document.price, document.quantity, document.side) != (row.price, row.quantity, row.side):
            report.record_defect("altered", identity)


def _compare_order(
    report: ReconciliationReport, by_instrument: dict[Instrument, list[LedgerTrade]], documents: dict[str, IndexedTrade]
) -> None:
    for rows in by_instrument.values():
        present = [row.identity for row in rows if row.identity in documents]
        ordered = sorted(present, key=lambda identity: documents[identity].order)
        for expected, found in zip(present, ordered, strict=True):
            if expected != found:
                report.record_defect("misordered", found)


def _identities_inside_gaps(by_instrument: dict[Instrument, list[LedgerTrade]], gaps: Iterable[IndexedGap]) -> set[str]:
    """Return the ledger's identities that lie strictly inside a gap."""
    positions = {i: {row.identity: n for n, row in enumerate(rows)} for i, rows in by_instrument.items()}
    inside: set[str] = set()
    for gap in gaps:
        rows, position = by_instrument.get(gap.instrument, []), positions.get(gap.instrument, {})
        stop = position.get(gap.to_identity)
        if stop is None:
            continue
        if gap.from_identity is not None:
            start = position.get(gap.from_identity)
            if start is None:
                continue
        else:
            start = sum(row.traded_at < gap.from_traded_at for row in rows) - 1
        inside.update(row.identity for row in rows[start + 1 : stop])
    return inside

"""The oracle: what the exchange says it sent, against what can be searched, id by id.

Pure. It takes nothing from our own counters: the ledger is the exchange's, the documents are read
back from Elasticsearch. A trade is lost when it is in neither the index nor a gap; a gap may not
claim a trade that is there.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

Order = tuple[int, int, int]
_SHOWN = 20


class Sent(NamedTuple):
    """One row of the exchange's ledger."""

    identity: str
    symbol: str
    traded_at: int
    price: str
    quantity: str
    side: str


class Stored(NamedTuple):
    """One trade as Elasticsearch gives it back."""

    identity: str
    symbol: str
    order: Order
    price: str
    quantity: str
    side: str
    state: str
    probability: float | None
    model_digest: str | None


class Hole(NamedTuple):
    """One gap document; both ends exclusive, the first end possibly known by its time only."""

    symbol: str
    from_identity: str | None
    from_traded_at: int
    to_identity: str


@dataclass(slots=True)
class Books:
    """The outcome. Lists hold at most the first few identities; the counts are whole.

    Attributes:
        sent: different trades in the ledger.
        indexed: documents found.
        covered: trades that are missing and lie inside a gap.
        lost: trades that are missing and lie inside none.
        doubled: identities with more than one document.
        invented: documents of trades that were never sent.
        altered: documents whose digits or side differ from the ledger.
        misordered: trades whose place among their symbol's documents differs from the ledger's.
        overclaimed: trades inside a gap that are there all the same.
        unfounded: documents with a number but no model, or with neither a number nor a reason.
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

    def note(self, defect: str, identity: str) -> None:
        """Count one defect and keep the first few of its kind by name."""
        setattr(self, defect, getattr(self, defect) + 1)
        if len(self.examples[defect]) < _SHOWN:
            self.examples[defect].append(identity)

    def balanced(self) -> bool:
        """Say whether nothing is wrong."""
        defects = (self.lost, self.doubled, self.invented, self.altered, self.misordered)
        return not any((*defects, self.overclaimed, self.unfounded))

    def as_dict(self) -> dict[str, Any]:
        """Return all of it for a report."""
        plain = {item.name: getattr(self, item.name) for item in fields(self)}
        mappings = {name: dict(plain[name]) for name in ("by_state", "by_model", "examples")}
        return plain | mappings


def reconcile(sent: Iterable[Sent] | None, stored: Iterable[Stored], holes: Iterable[Hole]) -> Books:
    """Compare the ledger with the documents.

    Args:
        sent: the ledger in its order; None where the exchange keeps none (the real one).
        stored: every document of every daily index.
        holes: every gap document.
    """
    books = Books()
    documents: dict[str, Stored] = {}
    for document in stored:
        books.indexed += 1
        if document.identity in documents:
            books.note("doubled", document.identity)
        documents[document.identity] = document
        _judge_prediction(books, document)
    if sent is None:
        return books
    ledger: dict[str, Sent] = {}
    for row in sent:
        ledger.setdefault(row.identity, row)
    books.sent = len(ledger)
    for identity in documents.keys() - ledger.keys():
        books.note("invented", identity)
    by_symbol: dict[str, list[Sent]] = defaultdict(list)
    for row in ledger.values():
        by_symbol[row.symbol].append(row)
    inside = _inside(by_symbol, holes)
    _compare(books, ledger, documents, inside)
    _compare_order(books, by_symbol, documents)
    return books


def _judge_prediction(books: Books, document: Stored) -> None:
    books.by_state[document.state] += 1
    scored = document.state == "ok"
    founded = document.probability is not None and bool(document.model_digest)
    silent = document.probability is None and document.model_digest is None
    if scored and founded:
        books.by_model[str(document.model_digest)] += 1
    if (scored and not founded) or (not scored and not silent):
        books.note("unfounded", document.identity)


def _compare(books: Books, ledger: dict[str, Sent], documents: dict[str, Stored], inside: set[str]) -> None:
    for identity, row in ledger.items():
        document = documents.get(identity)
        if document is None:
            if identity in inside:
                books.covered += 1
            else:
                books.note("lost", identity)
            continue
        if identity in inside:
            books.note("overclaimed", identity)
        if (document.price, document.quantity, document.side) != (row.price, row.quantity, row.side):
            books.note("altered", identity)


def _compare_order(books: Books, by_symbol: dict[str, list[Sent]], documents: dict[str, Stored]) -> None:
    for rows in by_symbol.values():
        there = [row.identity for row in rows if row.identity in documents]
        ordered = sorted(there, key=lambda identity: documents[identity].order)
        for expected, found in zip(there, ordered, strict=True):
            if expected != found:
                books.note("misordered", found)


def _inside(by_symbol: dict[str, list[Sent]], holes: Iterable[Hole]) -> set[str]:
    """Return the ledger's identities that lie strictly inside a gap."""
    places = {s: {row.identity: n for n, row in enumerate(rows)} for s, rows in by_symbol.items()}
    inside: set[str] = set()
    for hole in holes:
        rows, place = by_symbol.get(hole.symbol, []), places.get(hole.symbol, {})
        stop = place.get(hole.to_identity)
        if stop is None:
            continue
        if hole.from_identity is not None:
            start = place.get(hole.from_identity)
            if start is None:
                continue
        else:
            start = sum(row.traded_at < hole.from_traded_at for row in rows) - 1
        inside.update(row.identity for row in rows[start + 1 : stop])
    return inside

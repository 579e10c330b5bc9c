import pytest
from tapeline.records import candle
from tapeline_board.api.query_params import Filters, Span
from tapeline_board.panels import reconciliation

from unit.board import factories
from unit.board.searches import by_instrument, search

MINUTE_MS = candle.MINUTE_MS
NOW_MS = factories.START_MS + 30 * MINUTE_MS + 5_000
SPAN = Span(factories.START_MS, NOW_MS + 1)


def bucket(key, *states, count=10):
    by_state: dict[str, int] = {}
    for state in states:
        by_state[state] = by_state.get(state, 0) + 1
    counts = {name: {"value": float(count)} for name in ("received", "produced", "logged", "distinct", "indexed")}
    counts |= {"rejected": {"value": 0.0}, "gaps": {"value": 0.0}}
    kinds = [{"key": state, "doc_count": number} for state, number in by_state.items()]
    return {"key": key, "doc_count": len(states), **counts, "states": {"buckets": kinds}}


def respond(minutes, rejects=0, symbols=(), span=SPAN, now_ms=NOW_MS):
    buckets = [bucket(factories.START_MS + number * MINUTE_MS, *states) for number, states in minutes.items()]
    instruments = by_instrument("symbols", 0, bybit={"spot": list(symbols)})
    found = {"aggregations": {"minutes": {"buckets": buckets}, **instruments}}
    rejected = {"hits": {"total": {"value": rejects}, "hits": []}}
    return reconciliation.reconciliation_response(span, now_ms, found, rejected)


GOOD = dict.fromkeys(range(28), ("complete",)) | {28: ("open",), 29: ("open",), 30: ("open",)}
CASES = {
    "all complete but the newest": (GOOD, 0, []),
    "nothing": ({}, 0, ["nothing"]),
    "nothing but open": ({30: ("open",)}, 0, ["nothing"]),
    "a gap": (GOOD | {5: ("complete", "gap")}, 0, ["gap"]),
    "an incomplete one": (GOOD | {5: ("complete", "incomplete", "gap")}, 0, ["incomplete"]),
    "both, in two minutes": (GOOD | {5: ("incomplete",), 6: ("gap",)}, 0, ["incomplete", "gap"]),
    "a reject": (GOOD, 1, ["rejects"]),
    "open for ten minutes": (GOOD | {20: ("open",)}, 0, []),
    "open for longer": (GOOD | {18: ("open",)}, 0, ["overdue"]),
    "nothing for ten minutes": (dict.fromkeys(range(21), ("complete",)), 0, []),
    "nothing for longer": (dict.fromkeys(range(20), ("complete",)), 0, ["stale"]),
}


@pytest.mark.parametrize("name", CASES)
def test_reconciled_only_without_a_reason_against_it(name):
    minutes, rejects, reasons = CASES[name]
    found = respond(minutes, rejects)
    assert (found.reasons, found.is_reconciled) == (reasons, not reasons)


def test_a_span_of_the_past_is_not_stale():
    past = Span(factories.START_MS, factories.START_MS + 5 * MINUTE_MS)
    assert respond(dict.fromkeys(range(5), ("complete",)), span=past).is_reconciled


def test_a_minute_has_the_state_of_its_worst_symbol():
    (minute,) = respond({3: ("complete", "open", "gap", "complete")}).minutes
    assert (minute.state, minute.symbols, minute.received) == ("gap", 4, 10)


def test_the_worst_symbols_come_first():
    found = respond(
        GOOD,
        symbols=[bucket("A", "complete"), bucket("C", "complete", "incomplete", "gap"), bucket("B", "open")],
    )
    assert [(row.symbol, row.state, row.minutes, row.not_complete) for row in found.symbols] == [
        ("C", "incomplete", 3, 2),
        ("B", "open", 1, 0),
        ("A", "complete", 1, 0),
    ]


def test_the_same_symbol_at_two_venues_has_counts_and_a_state_of_its_own():
    states = {
        factories.ELSEWHERE: ("incomplete", 5),
        factories.LINEAR: ("gap", 6),
        factories.INSTRUMENT: ("complete", 7),
    }
    documents = [
        factories.reconciliation_of(factories.START_MS, state, count, **factories.fields_of(instrument))
        for instrument, (state, count) in states.items()
    ]
    rejected = {"hits": {"total": {"value": 0}, "hits": []}}

    def found(filters):
        counts = search(reconciliation.counts_request(SPAN, filters), *documents)
        return reconciliation.reconciliation_response(SPAN, NOW_MS, counts, rejected)

    rows = found(Filters()).symbols
    assert {row.instrument: (row.state, row.received) for row in rows} == states
    assert [row.instrument for row in rows] == list(states), "the worst first"
    ours = found(Filters((factories.INSTRUMENT,)))
    assert [(row.state, row.symbols, row.received) for row in ours.minutes] == [("complete", 1, 7)]
    assert [row.instrument for row in ours.symbols] == [factories.INSTRUMENT]

import pytest
from tapeline_local.demo.reconcile import Hole, Sent, Stored, reconcile

SYMBOL = "spot|BTCUSDT"


def identity(number):
    return f"bybit|{SYMBOL}|{number}"


def sent(number):
    return Sent(identity(number), SYMBOL, 1000 + number, f"{number}.50", "0.10", "Buy")


def stored(number, **changes):
    row = sent(number)
    document = Stored(
        row.identity, SYMBOL, (row.traded_at, 0, 0), row.price, row.quantity, row.side, "ok", 0.5, "digest"
    )
    return document._replace(**changes)


def books(documents, holes=(), rows=10):
    return reconcile([sent(n) for n in range(rows)], documents, holes)


def whole():
    return [stored(n) for n in range(10)]


def test_every_trade_once_balances():
    result = books(whole())
    assert result.balanced()
    assert (result.sent, result.indexed, result.by_state["ok"]) == (10, 10, 10)


@pytest.mark.parametrize(
    ("defect", "spoil"),
    [
        ("lost", lambda d: d.pop(4)),
        ("doubled", lambda d: d.append(d[4])),
        ("invented", lambda d: d.append(stored(99))),
        ("altered", lambda d: d.append(d.pop(4)._replace(price="4.5"))),
        ("misordered", lambda d: d.append(d.pop(4)._replace(order=(2000, 0, 0)))),
        ("unfounded", lambda d: d.append(d.pop(4)._replace(model_digest=None))),
        ("unfounded", lambda d: d.append(d.pop(4)._replace(state="model_unavailable"))),
        ("unfounded", lambda d: d.append(d.pop(4)._replace(probability=None))),
    ],
)
def test_one_planted_defect_turns_the_books_red(defect, spoil):
    documents = whole()
    spoil(documents)
    result = books(documents)
    assert not result.balanced()
    assert getattr(result, defect) >= 1


def test_missing_trades_inside_a_gap_are_covered_and_not_lost():
    holes = [Hole(SYMBOL, identity(2), 1002, identity(6))]
    result = books([d for d in whole() if d.identity not in map(identity, (3, 4, 5))], holes)
    assert result.balanced()
    assert (result.covered, result.lost) == (3, 0)


def test_a_gap_over_trades_that_are_there_claims_too_much():
    result = books(whole(), [Hole(SYMBOL, identity(2), 1002, identity(6))])
    assert result.overclaimed == 3


def test_a_gap_known_by_its_time_covers_from_that_time_on():
    holes = [Hole(SYMBOL, None, 1003, identity(6))]
    result = books([d for d in whole() if d.identity not in map(identity, (3, 4, 5))], holes)
    assert (result.covered, result.lost, result.overclaimed) == (3, 0, 0)


def test_a_gap_of_another_symbol_covers_nothing():
    holes = [Hole("spot|ETHUSDT", identity(2), 1002, identity(6))]
    assert books([d for d in whole() if d.identity != identity(4)], holes).lost == 1


def test_without_a_ledger_doubles_and_unfounded_numbers_are_still_found():
    result = reconcile(None, [*whole(), stored(3, probability=None)], [])
    assert (result.doubled, result.unfounded, result.sent) == (1, 1, 0)


def test_the_report_names_the_first_offenders():
    result = books(whole()[1:])
    assert result.as_dict()["examples"]["lost"] == [identity(0)]

import pytest
from tapeline.enums import MarketType
from tapeline.instrument import Instrument
from tapeline_local.demo.reconcile import IndexedGap, IndexedTrade, LedgerTrade, reconcile

BTC, ETH = (Instrument("bybit", MarketType.SPOT, symbol) for symbol in ("BTCUSDT", "ETHUSDT"))


def identity(number):
    return f"bybit|spot|BTCUSDT|{number}"


def sent(number):
    return LedgerTrade(identity(number), BTC, 1000 + number, f"{number}.50", "0.10", "Buy")


def stored(number, **changes):
    row = sent(number)
    document = IndexedTrade(
        row.identity, BTC, (row.traded_at, 0, 0), row.price, row.quantity, row.side, "ok", 0.5, "digest"
    )
    return document._replace(**changes)


def reconcile_ledger(documents, gaps=(), rows=10):
    return reconcile([sent(n) for n in range(rows)], documents, gaps)


def whole():
    return [stored(n) for n in range(10)]


def test_every_trade_once_is_reconciled():
    result = reconcile_ledger(whole())
    assert result.is_reconciled()
    assert (result.sent, result.indexed, result.by_state["ok"]) == (10, 10, 10)


@pytest.mark.parametrize(
    ("defect", "plant"),
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
def test_one_planted_defect_is_not_reconciled(defect, plant):
    documents = whole()
    plant(documents)
    result = reconcile_ledger(documents)
    assert not result.is_reconciled()
    assert getattr(result, defect) >= 1


def test_missing_trades_inside_a_gap_are_covered_and_not_lost():
    gaps = [IndexedGap(BTC, identity(2), 1002, identity(6))]
    result = reconcile_ledger([d for d in whole() if d.identity not in map(identity, (3, 4, 5))], gaps)
    assert result.is_reconciled()
    assert (result.covered, result.lost) == (3, 0)


def test_a_gap_over_indexed_trades_is_overclaimed():
    result = reconcile_ledger(whole(), [IndexedGap(BTC, identity(2), 1002, identity(6))])
    assert result.overclaimed == 3


def test_a_gap_known_by_its_time_covers_from_that_time_on():
    gaps = [IndexedGap(BTC, None, 1003, identity(6))]
    result = reconcile_ledger([d for d in whole() if d.identity not in map(identity, (3, 4, 5))], gaps)
    assert (result.covered, result.lost, result.overclaimed) == (3, 0, 0)


def test_a_gap_of_another_symbol_covers_nothing():
    gaps = [IndexedGap(ETH, identity(2), 1002, identity(6))]
    assert reconcile_ledger([d for d in whole() if d.identity != identity(4)], gaps).lost == 1


def test_duplicates_and_unfounded_predictions_are_found_without_a_ledger():
    result = reconcile(None, [*whole(), stored(3, probability=None)], [])
    assert (result.doubled, result.unfounded, result.sent) == (1, 1, 0)


def test_the_report_lists_the_first_identities_of_a_defect():
    result = reconcile_ledger(whole()[1:])
    assert result.as_dict()["examples"]["lost"] == [identity(0)]


def test_the_same_symbol_of_another_market_type_or_venue_is_another_instrument():
    others = [Instrument("bybit", MarketType.INVERSE, "BTCUSDT"), Instrument("other", MarketType.SPOT, "BTCUSDT")]
    documents = [d for d in whole() if d.identity not in map(identity, (3, 4, 5))]
    for other in others:
        assert reconcile_ledger(documents, [IndexedGap(other, identity(2), 1002, identity(6))]).lost == 3

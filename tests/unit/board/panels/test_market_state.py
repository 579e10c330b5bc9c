from hypothesis import given, settings
from hypothesis import strategies as st
from tapeline_board.api.query_params import Span
from tapeline_board.panels.market import Bucket, Part, Ranking, Reading
from tapeline_board.panels.market_state import MarketBook

A, B = ("spot", "A"), ("linear", "A")
STEP = 1_000


def bucket(up=1, down=0, other=0, price=10.0):
    count = up + down + other
    parts = {"up": Part(up, 2.0 * up, price if up else None), "down": Part(down, 3.0 * down, price if down else None)}
    return Bucket(
        count, price, Part(count, 1.5 * count, price), Part(0, 0.0, None), **parts, other=Part(other, other, None)
    )


def reading(symbols):
    times = {at for rows in symbols.values() for at in rows}
    everything = {at: (sum(rows[at].trades for rows in symbols.values() if at in rows),) * 2 for at in times}
    return Reading(everything, symbols)


def book(symbols):
    return MarketBook(Span(0, 10_000), STEP, Ranking((A, B), False), reading(symbols))


def rows_of(answer):
    return {
        (s.market_type, s.symbol): dict(zip(s.at, zip(s.trades, s.price, strict=True), strict=True))
        for s in answer.series
    }


def test_the_whole_is_ordered_by_trades_and_its_totals_are_sums():
    told = book({A: {0: bucket(), 1_000: bucket(2, 1)}, B: {0: bucket(9)}}).whole()
    assert [(row.market_type, row.trades) for row in told.totals] == [("linear", 9), ("spot", 4)]
    assert [row.market_type for row in told.series] == ["linear", "spot"]
    assert (told.trades, told.buy_trades, told.sell_trades) == (13, 13, 0)
    spot = told.totals[1]
    assert (spot.up_trades, spot.down_trades, spot.up_quantity_mean, spot.down_quantity_mean) == (3, 1, 2.0, 3.0)
    assert (spot.other_quantity_mean, spot.buy_quantity) == (None, 6.0)
    assert told.series[1].down_price == [None, 10.0]


def test_only_buckets_that_changed_are_told_and_totals_are_whole():
    known = book({A: {0: bucket(), 1_000: bucket()}, B: {1_000: bucket()}})
    told = known.merge(Span(0, 11_000), 1_000, reading({A: {1_000: bucket(), 2_000: bucket(5)}, B: {1_000: bucket()}}))
    assert told is not None
    assert not told.is_whole
    assert rows_of(told) == {A: {2_000: (5, 10.0)}}
    assert [(row.market_type, row.trades) for row in told.totals] == [("spot", 7), ("linear", 1)]
    assert told.trades == 8


def test_nothing_new_is_no_news():
    symbols = {A: {1_000: bucket()}, B: {1_000: bucket()}}
    assert book(symbols).merge(Span(0, 10_500), 1_000, reading(symbols)) is None


def test_a_trade_of_a_symbol_that_is_not_shown_changes_the_sum():
    symbols = {A: {1_000: bucket()}, B: {}}
    other = Reading({1_000: (4, 2)}, symbols)
    told = book(symbols).merge(Span(0, 10_500), 1_000, other)
    assert told is not None
    assert (told.series, told.trades, told.buy_trades, told.sell_trades) == ([], 4, 2, 2)


def test_what_lies_before_the_window_is_forgotten():
    known = book({A: {0: bucket(), 1_000: bucket(), 2_000: bucket()}, B: {0: bucket()}})
    told = known.merge(Span(2_000, 12_000), 2_000, reading({A: {2_000: bucket(), 3_000: bucket()}, B: {}}))
    assert told is not None
    assert told.trades == 2
    assert rows_of(known.whole()) == {A: {2_000: (1, 10.0), 3_000: (1, 10.0)}}
    assert [row.symbol for row in known.whole().totals] == ["A"]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from([A, B]), st.integers(0, 3)), max_size=60),
    st.integers(1, 5),
    st.integers(5, 20),
)
def test_parts_put_together_are_the_whole(trades, overlap, window):
    """Whatever comes when, late by no more than the overlap: parts and a fresh look say the same."""
    now, known, told = 0, None, {}
    for step in range(0, 45, 3):
        now = step
        seen = [trade for trade in trades if trade[0] + trade[2] % overlap <= now]
        span = Span(max(0, now - window) * STEP, (now + 1) * STEP)
        symbols = {market: {} for market in (A, B)}
        for at, market, _ in seen:
            if span.from_ms <= at * STEP:
                count = sum(other[:2] == (at, market) for other in seen)
                symbols[market][at * STEP] = bucket(count)
        whole = reading(symbols)
        if known is None:
            known = MarketBook(span, STEP, Ranking((A, B), False), whole)
            told = rows_of(known.whole())
            continue
        from_ms = max(span.from_ms, (now - 3 - overlap) * STEP)
        newest = reading({m: {at: row for at, row in rows.items() if at >= from_ms} for m, rows in symbols.items()})
        event = known.merge(span, from_ms, newest)
        for market, rows in (rows_of(event) if event else {}).items():
            told[market] = told.get(market, {}) | rows
        told = {market: {at: row for at, row in rows.items() if at >= span.from_ms} for market, rows in told.items()}
        fresh = MarketBook(span, STEP, Ranking((A, B), False), whole).whole()
        assert rows_of(known.whole()) == rows_of(fresh) == {market: rows for market, rows in told.items() if rows}
        assert known.whole().totals == fresh.totals
        assert known.whole().trades == fresh.trades

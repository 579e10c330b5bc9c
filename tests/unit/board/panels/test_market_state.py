from hypothesis import given, settings
from hypothesis import strategies as st
from tapeline.enums import MarketType
from tapeline.instrument import Instrument
from tapeline_board.api.query_params import Span
from tapeline_board.panels.market import Bucket, MarketBuckets, Part, Ranking
from tapeline_board.panels.market_state import MarketState

A, B = Instrument("bybit", MarketType.SPOT, "A"), Instrument("bybit", MarketType.LINEAR, "A")
ELSEWHERE = Instrument("other", MarketType.SPOT, "A")
STEP = 1_000


def bucket(up=1, down=0, other=0, price=10.0):
    count = up + down + other
    parts = {"up": Part(up, 2.0 * up, price if up else None), "down": Part(down, 3.0 * down, price if down else None)}
    return Bucket(
        count, price, Part(count, 1.5 * count, price), Part(0, 0.0, None), **parts, other=Part(other, other, None)
    )


def market_buckets(symbols):
    times = {at for rows in symbols.values() for at in rows}
    everything = {at: (sum(rows[at].trades for rows in symbols.values() if at in rows),) * 2 for at in times}
    return MarketBuckets(everything, symbols)


def state_of(symbols):
    return MarketState(Span(0, 10_000), STEP, Ranking((A, B), False), market_buckets(symbols))


def rows_of(response):
    return {s.instrument: dict(zip(s.at, zip(s.trades, s.price, strict=True), strict=True)) for s in response.series}


def test_a_snapshot_is_ordered_by_trades_and_its_totals_are_sums():
    update = state_of({A: {0: bucket(), 1_000: bucket(2, 1)}, B: {0: bucket(9)}}).snapshot()
    assert [(row.market_type, row.trades) for row in update.totals] == [("linear", 9), ("spot", 4)]
    assert [row.market_type for row in update.series] == ["linear", "spot"]
    assert (update.trades, update.buy_trades, update.sell_trades) == (13, 13, 0)
    spot = update.totals[1]
    assert (spot.up_trades, spot.down_trades, spot.up_quantity_mean, spot.down_quantity_mean) == (3, 1, 2.0, 3.0)
    assert (spot.other_quantity_mean, spot.buy_quantity) == (None, 6.0)
    assert update.series[1].down_price == [None, 10.0]


def test_a_delta_has_only_changed_buckets_and_all_totals():
    known = state_of({A: {0: bucket(), 1_000: bucket()}, B: {1_000: bucket()}})
    update = known.merge(
        Span(0, 11_000), 1_000, market_buckets({A: {1_000: bucket(), 2_000: bucket(5)}, B: {1_000: bucket()}})
    )
    assert update is not None
    assert not update.is_snapshot
    assert rows_of(update) == {A: {2_000: (5, 10.0)}}
    assert [(row.market_type, row.trades) for row in update.totals] == [("spot", 7), ("linear", 1)]
    assert update.trades == 8


def test_the_same_symbol_at_two_venues_has_buckets_and_totals_of_its_own():
    ranking = Ranking((A, ELSEWHERE), False)
    known = MarketState(Span(0, 10_000), STEP, ranking, market_buckets({A: {0: bucket()}, ELSEWHERE: {0: bucket(5)}}))
    assert [(row.instrument, row.trades) for row in known.snapshot().totals] == [(ELSEWHERE, 5), (A, 1)]
    newer = market_buckets({A: {0: bucket()}, ELSEWHERE: {0: bucket(6, price=11.0)}})
    update = known.merge(Span(0, 10_000), 0, newer)
    assert update is not None
    assert rows_of(update) == {ELSEWHERE: {0: (6, 11.0)}}
    assert rows_of(known.snapshot()) == {A: {0: (1, 10.0)}, ELSEWHERE: {0: (6, 11.0)}}


def test_without_changes_there_is_no_delta():
    symbols = {A: {1_000: bucket()}, B: {1_000: bucket()}}
    assert state_of(symbols).merge(Span(0, 10_500), 1_000, market_buckets(symbols)) is None


def test_a_trade_of_a_symbol_that_is_not_shown_changes_the_sum():
    symbols = {A: {1_000: bucket()}, B: {}}
    other = MarketBuckets({1_000: (4, 2)}, symbols)
    update = state_of(symbols).merge(Span(0, 10_500), 1_000, other)
    assert update is not None
    assert (update.series, update.trades, update.buy_trades, update.sell_trades) == ([], 4, 2, 2)


def test_buckets_before_the_window_are_dropped():
    known = state_of({A: {0: bucket(), 1_000: bucket(), 2_000: bucket()}, B: {0: bucket()}})
    update = known.merge(Span(2_000, 12_000), 2_000, market_buckets({A: {2_000: bucket(), 3_000: bucket()}, B: {}}))
    assert update is not None
    assert update.trades == 2
    assert rows_of(known.snapshot()) == {A: {2_000: (1, 10.0), 3_000: (1, 10.0)}}
    assert [row.symbol for row in known.snapshot().totals] == ["A"]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from([A, B]), st.integers(0, 3)), max_size=60),
    st.integers(1, 5),
    st.integers(5, 20),
)
def test_merged_deltas_equal_a_snapshot(trades, overlap, window):
    """Trades that are late by at most the overlap: merged deltas equal a fresh snapshot."""
    now, known, update = 0, None, {}
    for step in range(0, 45, 3):
        now = step
        seen = [trade for trade in trades if trade[0] + trade[2] % overlap <= now]
        span = Span(max(0, now - window) * STEP, (now + 1) * STEP)
        symbols = {market: {} for market in (A, B)}
        for at, market, _ in seen:
            if span.from_ms <= at * STEP:
                count = sum(other[:2] == (at, market) for other in seen)
                symbols[market][at * STEP] = bucket(count)
        snapshot = market_buckets(symbols)
        if known is None:
            known = MarketState(span, STEP, Ranking((A, B), False), snapshot)
            update = rows_of(known.snapshot())
            continue
        from_ms = max(span.from_ms, (now - 3 - overlap) * STEP)
        newest = market_buckets(
            {m: {at: row for at, row in rows.items() if at >= from_ms} for m, rows in symbols.items()}
        )
        event = known.merge(span, from_ms, newest)
        for market, rows in (rows_of(event) if event else {}).items():
            update[market] = update.get(market, {}) | rows
        update = {
            market: {at: row for at, row in rows.items() if at >= span.from_ms} for market, rows in update.items()
        }
        fresh = MarketState(span, STEP, Ranking((A, B), False), snapshot).snapshot()
        assert rows_of(known.snapshot()) == rows_of(fresh) == {market: rows for market, rows in update.items() if rows}
        assert known.snapshot().totals == fresh.totals
        assert known.snapshot().trades == fresh.trades

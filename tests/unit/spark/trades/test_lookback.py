import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tapeline.instrument import Instrument
from tapeline.model import features
from tapeline_spark.trades.lookback import LookbackState

from unit.spark.instruments import outcome, outcomes_alone, trades_of_instruments
from unit.spark.trade_factories import START_MS, record

BTCUSDT = Instrument.parse("bybit:spot:BTCUSDT")


def trades(count: int, symbol: str = "BTCUSDT", step_ms: int = 40):
    rng = np.random.default_rng(5)
    return [
        record(
            symbol=symbol,
            traded_at=START_MS + i * step_ms,
            sequence=i,
            price=f"{100 + rng.integers(-9, 9) / 100:.2f}",
            side=("Buy", "Sell")[rng.integers(2)],
        )
        for i in range(count)
    ]


def features_of(records, cuts):
    """Features of every record when the log is read in the batches that `cuts` bound."""
    state, seen = LookbackState(), {}
    for batch in np.split(np.arange(len(records)), cuts):
        admission = state.admit([records[i] for i in batch])
        matrix, warm = features.compute(admission.trades, admission.rows)
        for item, row, ok in zip(admission.ordered, matrix, warm, strict=True):
            seen[item.trade.trade_id] = (*row, ok)
    return seen


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 599), max_size=6).map(sorted))
def test_batch_boundaries_never_change_a_feature(cuts):
    records = [r for pair in zip(trades(300), trades(300, "ETHUSDT"), strict=True) for r in pair]
    assert features_of(records, cuts) == features_of(records, [])


def test_a_second_copy_of_a_trade_is_dropped_before_features():
    first, second = trades(2)
    admission = LookbackState().admit([first, second, first])
    assert admission.duplicates == 1
    assert admission.ordered == [first, second]


def test_a_trade_behind_a_later_one_is_late_and_stays_out_of_the_lookback():
    first, second, third = trades(3)
    state = LookbackState()
    admission = state.admit([first, third, second])
    assert admission.late == [second]
    assert state.lookbacks[BTCUSDT].traded_at_ms == [first.trade.traded_at, third.trade.traded_at]


def test_fills_of_one_millisecond_follow_their_place_in_the_frame():
    fills = [record(traded_at=START_MS, sequence=5, frame_index=i) for i in range(3)]
    admission = LookbackState().admit([fills[0], fills[2], fills[1]])
    assert admission.late == [fills[1]]


def test_symbols_of_two_market_types_do_not_share_a_lookback():
    state = LookbackState()
    state.admit([record(market_type="spot"), record(market_type="linear")])
    assert set(map(str, state.lookbacks)) == {"bybit:spot:BTCUSDT", "bybit:linear:BTCUSDT"}


def test_a_lookback_keeps_no_more_than_the_longest_window_needs():
    state = LookbackState()
    state.admit(trades(500))
    assert len(state.lookbacks[BTCUSDT].price) == features.LOOKBACK_TRADES - 1


def test_a_lookback_drops_trades_older_than_its_window():
    state = LookbackState()
    state.admit(trades(2, step_ms=features.LOOKBACK_MS + 1))
    assert len(state.lookbacks[BTCUSDT].price) == 1


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_instruments_that_share_a_symbol_and_a_partition_number_do_not_touch_each_other(data):
    """Two venues and two market types, in two topics; ids, sequences and times are the same."""
    by_instrument = trades_of_instruments(60)
    order = data.draw(st.permutations([name for name in by_instrument for _ in by_instrument[name]]))
    following = {name: iter(records) for name, records in by_instrument.items()}
    records = [next(following[name]) for name in order]
    cuts = sorted(data.draw(st.lists(st.integers(1, len(records) - 1), max_size=4)))
    assert outcome(records, cuts) == outcomes_alone(by_instrument)

from collections import Counter

from tapeline.instrument import instrument_of
from tapeline_spark.candles.closed_history import FLOW_MINUTES
from tapeline_spark.candles.indicators import KEPT_MINUTES
from tapeline_spark.candles.state import AHEAD_MS, MINUTE_MS, CandleState

from unit.spark.candles.log_factories import LATE_MINUTES, START_MS, Published, fresh, process_batch, trade

TOPIC = "bybit-trades"
INSTRUMENT = instrument_of("bybit", "spot", "BTCUSDT")


def published_minutes(state: CandleState, *records, is_caught_up: bool = True) -> dict[str, list[int]]:
    state.admit(TOPIC, records)
    changed = state.changed(is_caught_up)
    state.trim(changed)
    return {one.instrument.symbol: [(minute - START_MS) // MINUTE_MS for minute in one.minutes] for one in changed}


def test_a_trade_at_the_horizon_is_counted_and_one_before_it_is_missed() -> None:
    state = fresh()
    outcomes = state.admit(TOPIC, [trade(60 * LATE_MINUTES + 59), trade(59), trade(0), trade(-0.001)])
    assert outcomes == Counter(counted=3, missed=1)
    assert state.missed() == {INSTRUMENT: {START_MS - MINUTE_MS: 1}}
    assert state.missed() == {}


def test_what_is_missed_is_counted_on_from_batch_to_batch() -> None:
    state = fresh()
    state.admit(TOPIC, [trade(60 * 60), trade(0)])
    state.missed()
    state.admit(TOPIC, [trade(1)])
    assert state.missed() == {INSTRUMENT: {START_MS: 2}}


def test_lateness_is_by_the_trades_of_its_own_symbol() -> None:
    state = fresh()
    assert state.admit(TOPIC, [trade(60 * 600, symbol="OTHER"), trade(0)]) == Counter(counted=2)


def test_a_new_minute_publishes_the_previous_one_again_as_closed() -> None:
    state = fresh()
    assert published_minutes(state, trade(1)) == {"BTCUSDT": [0]}
    assert published_minutes(state, trade(61)) == {"BTCUSDT": [0, 1]}
    assert published_minutes(state, trade(62)) == {"BTCUSDT": [1]}


def test_a_late_trade_publishes_its_minute_and_all_later_ones() -> None:
    state = fresh()
    published_minutes(state, trade(1), trade(301))
    assert published_minutes(state, trade(125)) == {"BTCUSDT": [2, 3, 4, 5]}


def test_a_silent_symbols_minutes_close_while_others_trade() -> None:
    state = fresh()
    published_minutes(state, trade(1))
    assert published_minutes(state, trade(181, symbol="OTHER")) == {"BTCUSDT": [0, 1, 2], "OTHER": [3]}
    assert published_minutes(state, trade(182, symbol="OTHER")) == {"OTHER": [3]}


def test_another_partition_that_is_ahead_closes_nothing_until_all_are_read_to_their_end() -> None:
    state = fresh()
    published_minutes(state, trade(1))
    ahead = trade(601, symbol="OTHER", partition=1)
    assert published_minutes(state, ahead, is_caught_up=False) == {"OTHER": [10]}
    assert published_minutes(state, trade(61), is_caught_up=False) == {"BTCUSDT": [0, 1]}
    assert published_minutes(state) == {"BTCUSDT": [*range(1, 10)]}


def test_a_trade_of_a_time_that_cannot_have_come_closes_nothing() -> None:
    """One stamp of next year would make a candle for every minute until then."""
    state = fresh()
    assert state.admit(TOPIC, [trade(1), trade(0, traded_at=START_MS + 1_000 + AHEAD_MS + 1)]) == Counter(
        counted=1, ahead=1
    )
    assert state.clocks()["bybit"].newest_ms == START_MS + 1_000


def truncated_log(*records, offset: int = 7) -> tuple[Counter[str], CandleState]:
    state = CandleState(LATE_MINUTES, 30)
    state.begin_partition(TOPIC, 0, offset, with_trades=True)
    return state.admit(TOPIC, records), state


def test_a_truncated_log_publishes_only_complete_minutes() -> None:
    outcomes, state = truncated_log(trade(30, offset=7), trade(59), trade(61), trade(121))
    assert outcomes == Counter(truncated=2, counted=2)
    assert min(state.symbols[INSTRUMENT].minutes) == START_MS + MINUTE_MS


def test_the_first_record_of_a_truncated_log_may_be_late_itself() -> None:
    """Deleted records were produced no later than the first remaining one, so no later trade is missing."""
    outcomes, _ = truncated_log(trade(30, produced_at=START_MS + 125_000), trade(130), trade(181))
    assert outcomes == Counter(truncated=2, counted=1)


def test_a_log_from_offset_zero_is_complete() -> None:
    outcomes, _ = truncated_log(trade(30), offset=0)
    assert outcomes == Counter(counted=1)


def test_two_days_of_one_symbol_leave_no_more_than_its_windows_need() -> None:
    state, published = fresh(), Published()
    for minute in range(0, 2_880, 10):
        process_batch(state, [trade(60 * (minute + n) + n) for n in range(10)], published)
    symbol_candles = state.symbols[INSTRUMENT]
    assert len(symbol_candles.minutes) == LATE_MINUTES + 1
    assert KEPT_MINUTES <= len(symbol_candles.closed.closes) < KEPT_MINUTES + 100
    assert FLOW_MINUTES <= len(symbol_candles.closed.trades) < FLOW_MINUTES + 100


def test_what_was_closed_once_stays_closed_while_another_partition_is_caught_up_with() -> None:
    state, published = fresh(), Published()
    process_batch(state, [trade(1, "100"), trade(601, symbol="OTHER", partition=1)], published)
    process_batch(state, [trade(61, "105")], published, is_caught_up=False)
    own = {(minute - START_MS) // MINUTE_MS: item for (key, minute), item in published.items() if key == INSTRUMENT}
    assert {minute: (item.close, item.is_closed) for minute, item in own.items()} == {
        0: (100.0, True),
        **dict.fromkeys(range(1, 10), (105.0, True)),
    }

"""Candles against an independent reference implementation (reference.py), however the log is read."""

import os
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tapeline.instrument import instrument_of
from tapeline.records import candle
from tapeline_spark.kafka.decode import DecodedTrade

from unit.spark.candles import reference
from unit.spark.candles.log_factories import (
    LATE_MINUTES,
    Published,
    fresh,
    market,
    numbered,
    process_batch,
    read_log,
    trade,
)

captures = pytest.mark.skipif("CAPTURES" not in os.environ, reason="CAPTURES names no recorded trades")
LOG = market(seed=5, minutes=150, per_minute=12)
ONCE = read_log(LOG)
CUTS = st.lists(st.integers(1, len(LOG) - 1), max_size=12, unique=True)


@settings(max_examples=30, deadline=None)
@given(CUTS)
def test_batch_boundaries_change_no_candle(cuts: list[int]) -> None:
    assert read_log(LOG, cuts) == ONCE


@settings(max_examples=30, deadline=None)
@given(st.integers())
def test_partitions_that_are_read_at_different_speeds_change_no_candle(seed: int) -> None:
    """While the log is caught up with, one partition is ahead of the other; what it says of quiet is not final."""
    random, published, state = Random(seed), Published(), fresh()
    unread = {partition: [r for r in LOG if r.partition == partition] for partition in (0, 1)}
    while any(unread.values()):
        batch = []
        for partition, records in unread.items():
            taken = random.randint(0, 400)
            batch += records[:taken]
            unread[partition] = records[taken:]
        process_batch(state, batch, published, is_caught_up=not any(unread.values()))
    assert published == ONCE


@settings(max_examples=15, deadline=None)
@given(cuts=CUTS)
def test_a_restart_from_a_snapshot_in_the_middle_of_a_minute_changes_no_candle(cuts, tmp_path_factory) -> None:
    assert read_log(LOG, cuts, tmp_path_factory.mktemp("state") / "candles") == ONCE


@settings(max_examples=15, deadline=None)
@given(st.integers(1, len(LOG) - 1), st.integers(1, len(LOG) - 1))
def test_a_replay_from_an_older_state_changes_no_candle(one: int, other: int) -> None:
    """What was published of the later records is still there, and nothing of the replay may take away from it."""
    begin, end = sorted((one, other))
    published: Published = {}
    process_batch(fresh(), LOG[:end], published)
    state = fresh()
    for batch in (LOG[:begin], LOG[begin:end], LOG[end:]):
        process_batch(state, batch, published)
    assert published == ONCE


def accepted(log: list[DecodedTrade]) -> pd.DataFrame:
    """Return the trades that belong into candles, by the rule as the settings define it."""
    seen: set[str] = set()
    newest: dict[str, int] = {}
    rows = []
    for trade_ in (item.trade for item in log):
        minute = trade_.traded_at // 60_000
        if minute >= newest.get(trade_.symbol, 0) - LATE_MINUTES:
            newest[trade_.symbol] = max(newest.get(trade_.symbol, 0), minute)
            if trade_.trade_id not in seen:
                seen.add(trade_.trade_id)
                numbers = (float(trade_.price), float(trade_.quantity), trade_.side == "Buy")
                rows.append((trade_.symbol, trade_.traded_at, trade_.sequence, *numbers))
    frame = pd.DataFrame(rows, columns=["symbol", "traded_at", "sequence", "price", "quantity", "is_buy"])
    return frame.sort_values(["traded_at", "sequence"])


def wrong(published: Published, trades: pd.DataFrame) -> tuple[int, dict[object, object]]:
    """Return how many candles were compared, and what was wrong with which of them."""
    compared, found = 0, {}
    last = {key: max(minute for other, minute in published if other == key) for key, _ in published}
    for symbol, own in trades.groupby("symbol"):
        key = instrument_of("bybit", "spot", str(symbol))
        for minute, row in reference.candles(own, last[key]).iterrows():
            compared += 1
            item = published.get((key, int(str(minute))))
            difference = reference.differences(item, row) if item else "no candle"
            if difference:
                found[symbol, minute] = difference
    return compared, found


def test_late_trades_copies_and_quiet_minutes_give_what_pandas_and_ta_lib_say() -> None:
    compared, found = wrong(ONCE, accepted(LOG))
    assert not found
    assert compared == len(ONCE)
    kinds = [(bool(item.late_trades), item.is_quiet, bool(item.missed_trades)) for item in ONCE.values()]
    assert set(np.array(kinds).any(axis=0)) == {True}, "the log holds late, quiet and missed ones"


def test_every_record_is_in_exactly_one_count() -> None:
    assert sum(item.logged for item in ONCE.values()) == len(LOG)
    assert sum(item.trades for item in ONCE.values()) == len(accepted(LOG))


@pytest.mark.parametrize("price", ["0.00000123", "83766.3"])
def test_a_long_history_is_as_good_as_a_whole_one(price: str) -> None:
    """Quiet for hours in between: what TA-Lib makes of the whole series is made here of its end."""
    rng = np.random.default_rng(7)
    steps = np.cumsum(rng.integers(-40, 41, 2_400))
    log = [
        trade(60 * minute + 1, f"{float(price) * (1 + step / 10_000):.12f}", sequence=minute)
        for minute, step in enumerate(steps)
        if not 900 < minute < 1_480 and rng.random() < 0.7
    ]
    log = numbered(log)
    published = read_log(log, [len(log) // 3, len(log) // 2], quiet_minutes=1_440)
    compared, found = wrong(published, accepted(log))
    assert not found
    assert compared > 2_300


@captures
@pytest.mark.captures
@pytest.mark.parametrize("symbol", ["LTCUSDT", "BTCUSDT", "ETHUSDT"])
def test_real_trades_give_what_pandas_and_ta_lib_say(symbol: str) -> None:
    frame = pd.read_parquet(Path(os.environ["CAPTURES"]) / "trades" / "real_trades.parquet")
    frame = frame[(frame.symbol == symbol) & (frame.market == "spot") & (frame.exchange == "binance")]
    log = []
    for number, row in enumerate(frame.sort_values("ts_ms", kind="stable").itertuples()):
        stamps = {"traded_at": row.ts_ms, "received_at": row.ts_ms, "produced_at": row.ts_ms}
        numbers = {"price": f"{row.price:.8f}", "quantity": f"{row.qty:.8f}", "side": row.side.capitalize()}
        log.append(trade(0, symbol=symbol, trade_id=row.trade_id, sequence=number, **stamps | numbers))
    log = numbered(log)
    published = read_log(log, range(997, len(log), 997))
    compared, found = wrong(published, accepted(log))
    assert not found
    assert compared == len(published)


def test_a_symbol_is_quiet_no_longer_than_it_may_be_and_goes_on_as_if_it_had_been() -> None:
    log = numbered([trade(0, "100"), trade(60 * 45, "101", symbol="OTHER"), trade(60 * 100, "102")])
    published = read_log(log, [1, 2], quiet_minutes=30)
    minutes = sorted((minute - log[0].trade.traded_at) // 60_000 for key, minute in published if key.symbol != "OTHER")
    assert minutes == [*range(31), 100]
    last = published[instrument_of("bybit", "spot", "BTCUSDT"), log[2].trade.traded_at]
    assert last.indicators["sma_20"] == pytest.approx((19 * 100 + 102) / 20)
    assert last.windows["return_bp_1h"] == pytest.approx(200)


def test_a_symbol_may_turn_out_to_have_begun_earlier() -> None:
    log = numbered([trade(301, "103"), trade(121, "101"), trade(181, "102"), trade(362, "104"), trade(20, "100")])
    assert read_log(log, [1, 2, 3, 4]) == read_log(log)
    compared, found = wrong(read_log(log), accepted(log))
    assert (compared, found) == (7, {})


def test_a_year_of_silence_leaves_the_last_price_and_no_volume() -> None:
    log = numbered([trade(60 * minute, str(100 + minute)) for minute in (0, 1, 2, 525_600, 525_601)])
    published = read_log(log, [3, 4])
    assert read_log(log) == published
    last = published[instrument_of("bybit", "spot", "BTCUSDT"), log[-1].trade.traded_at]
    assert last.windows["return_bp_5m"] == pytest.approx((525_701 / 102 - 1) * 10_000)
    assert last.windows["trades_per_s_1h"] == 2 / 3_600


def test_indicators_and_windows_have_the_names_of_the_mapping() -> None:
    for item in ONCE.values():
        assert tuple(item.indicators) == candle.INDICATORS
        assert set(item.windows) == set(candle.windowed_fields())

"""Two venues in one stream give candles, reconciliation, scores and alerts as each venue alone."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from tapeline.instrument import instrument_of
from tapeline_spark.candles import build
from tapeline_spark.candles.listener import LogClock

from unit.spark.alerts.test_evaluator import SILENT
from unit.spark.alerts.test_evaluator import Harness as AlertHarness
from unit.spark.candle_factories import changes
from unit.spark.candles.log_factories import Published, fresh, numbered, process_batch, trade
from unit.spark.change_factories import MINUTE_MS, START, PredictedTrade, counted, gap_row
from unit.spark.minute_harness import Harness

HOUR_S = 3_600
SYMBOL = "BTCUSDT"


def venue_log(seed, venue, market_types, ahead_s=0):
    """Return a log of one symbol in several market types, in partitions 0 and 1 of the venue's topic."""
    rng = Random(seed)
    log = []
    for number in range(150):
        kind = rng.randrange(len(market_types))
        at_s = ahead_s + number * 11 - rng.choice((0, 0, 0, 45, 700))
        price = str(rng.choice((100, 101, 102)))
        fields = {"venue": venue, "market_type": market_types[kind], "trade_id": f"{seed}-{number}"}
        log.append(trade(at_s, price, partition=kind % 2, sequence=number, **fields))
    return numbered(log)


def read(batches):
    published, state = Published(), fresh()
    for batch in batches:
        process_batch(state, batch, published)
    return published, state


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1_000), st.sampled_from([0, HOUR_S, -HOUR_S]))
def test_candles_equal_each_venue_alone(seed, ahead_s):
    logs = venue_log(seed, "bybit", ("spot", "linear")), venue_log(seed + 1, "other", ("spot", "linear"), ahead_s)
    rng, batches, unread = Random(seed), [], [list(log) for log in logs]
    while any(unread):
        batch = []
        for records in unread:
            taken = rng.randint(0, 60)
            batch += records[:taken]
            del records[:taken]
        batches.append(batch)
    together, state = read(batches)
    alone = [read([log]) for log in logs]
    assert together == alone[0][0] | alone[1][0]
    for _, own in alone:
        assert own.clocks().items() <= state.clocks().items()
        assert own.symbols.items() <= state.symbols.items()


def test_a_venue_that_is_ahead_closes_no_minute_of_another():
    state = fresh()
    state.admit("bybit-trades", [trade(1)])
    state.admit("other-trades", [trade(HOUR_S, venue="other")])
    found = build.changes(state, True)
    closed = {key.venue: [one.is_closed for one in candles.values()] for key, candles in found.candles.items()}
    assert closed == {"bybit": [False], "other": [False]}


def test_a_venue_without_records_in_a_full_batch_stays_caught_up():
    state = fresh()
    state.admit("bybit-trades", [trade(1)])
    state.admit("other-trades", [trade(1, venue="other")])
    assert {clock.is_caught_up for clock in build.changes(state, True).clocks.values()} == {True}
    state.admit("other-trades", [trade(2, venue="other")])
    clocks = build.changes(state, False).clocks
    assert (clocks["bybit"].is_caught_up, clocks["other"].is_caught_up) == (True, False)
    assert build.changes(state, True).clocks["other"].is_caught_up


def minutes_and_scores(events, ticks):
    """Return what is written after these batches: (instrument, trades, gap rows and counts) each."""
    harness = Harness()
    for batch in events:
        for instrument, trades, rows in batch:
            harness.apply(trades, rows, instrument=instrument)
        if ticks.random() < 0.7:
            harness.tick()
    for _ in range(20):
        harness.tick()
    documents = harness.documents.by_id.items()
    return {identity: {k: v for k, v in one.items() if k != "updated_at"} for identity, one in documents}


def instrument_events(seed, instrument, ahead_ms):
    """Return batches of one instrument: trades with predictions, counts, a gap, and an end that closes its minutes."""
    rng = Random(seed)
    batches = []
    for number in range(6):
        minute_ms = START + ahead_ms + number * MINUTE_MS
        offsets = sorted(rng.sample(range(0, MINUTE_MS, 500), rng.randint(1, 6)))
        trades = [
            PredictedTrade(minute_ms + at, rng.choice((1.0, 2.0)), True, rng.random(), 1, "sha256:a") for at in offsets
        ]
        counts = counted(minute_ms, len(trades), len(trades), at_ms=minute_ms + MINUTE_MS, instrument=instrument)
        rows = [counts]
        if number == 2:
            rows.append(gap_row(minute_ms - 5_000, minute_ms + 5_000, instrument=instrument))
        batches.append((instrument, trades, rows))
    batches.append((instrument, [PredictedTrade(START + ahead_ms + 8 * MINUTE_MS, 3.0)], []))
    return batches


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1_000), st.sampled_from([0, HOUR_S * 1_000]))
def test_reconciliation_and_scores_equal_each_venue_alone(seed, ahead_ms):
    instruments = [
        (instrument_of("bybit", "spot", SYMBOL), 0),
        (instrument_of("bybit", "linear", SYMBOL), 0),
        (instrument_of("other", "spot", SYMBOL), ahead_ms),
    ]
    events = {one: instrument_events(seed + n, one, ahead) for n, (one, ahead) in enumerate(instruments)}

    def batches_of(*wanted):
        return [list(batch) for batch in zip(*(events[one] for one in wanted), strict=True)]

    bybit = [one for one, _ in instruments[:2]]
    together = minutes_and_scores(batches_of(*events), Random(seed))
    alone = minutes_and_scores(batches_of(*bybit), Random(seed)) | minutes_and_scores(
        batches_of(instruments[2][0]), Random(seed)
    )
    assert together == alone
    assert {one["state"] for one in together.values() if "state" in one} == {"open", "complete", "gap"}


def test_a_symbol_is_silent_by_the_clock_of_its_own_venue():
    harness = AlertHarness(SILENT)
    own, other = instrument_of("bybit", "spot", SYMBOL), instrument_of("other", "spot", SYMBOL)
    last = {own: START, other: START + 3_600_000}
    clocks = {"bybit": LogClock(START, True), "other": LogClock(START + 3_600_000, True)}
    harness.evaluator.after_batch(changes({}, newest_ms=0, clocks=clocks, last_traded_ms=last))
    harness.tick()
    assert harness.publisher.stored == []
    harness.evaluator.after_batch(
        changes({}, newest_ms=0, clocks=clocks | {"bybit": LogClock(START + 61_000, True)}, last_traded_ms=last)
    )
    harness.tick()
    assert harness.publisher.stored == [f"silent|bybit|spot|{SYMBOL}|{START}"]

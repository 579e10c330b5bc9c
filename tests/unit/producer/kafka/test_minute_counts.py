"""What a process counts of a minute, and what it says of it."""

from tapeline_producer.kafka.minute_counts import Counts

from unit.producer.made import START_MS, trade

MINUTE_MS = 60_000
FIRST = START_MS - START_MS % MINUTE_MS


def test_trades_are_counted_under_the_minute_of_their_own_time():
    counts = Counts("one")
    late = trade(1, traded_at=FIRST + MINUTE_MS - 1)
    assert counts.of(late) is counts.of(trade(2, traded_at=FIRST))
    assert counts.of(late) is not counts.of(trade(3, traded_at=FIRST + MINUTE_MS))
    assert counts.of(late) is not counts.of(trade(4, traded_at=FIRST, market_type="linear"))


def test_report_says_the_totals_and_whose_they_are():
    counts = Counts("one")
    cell = counts.of(trade(1, traded_at=FIRST + 5))
    cell.received, cell.duplicates = 3, 1
    cell.take()
    report = cell.report(cell.totals, START_MS)
    assert (report.producer, report.venue, report.market_type, report.symbol) == ("one.0", "bybit", "spot", "BTCUSDT")
    assert (report.minute, report.received, report.duplicates, report.produced) == (FIRST, 3, 1, 1)


def test_cell_is_due_until_kafka_has_its_newest_totals():
    counts = Counts("one")
    cell = counts.of(trade(1))
    assert counts.due() == []
    cell.received += 1
    assert counts.due() == [cell]
    before = cell.totals
    cell.take()
    cell.told(before)
    assert counts.due() == [cell]
    cell.told(cell.totals)
    assert counts.due() == []


def test_minute_that_is_told_and_still_is_forgotten_and_begins_anew_under_another_name():
    counts = Counts("one")
    cell = counts.of(trade(1))
    cell.received += 1
    cell.take()
    cell.told(cell.totals)
    # Its minute is long past by our clock: that says nothing.
    now_ms = START_MS + 48 * 60 * MINUTE_MS
    counts.forget(now_ms)
    counts.forget(now_ms + 15 * MINUTE_MS)
    assert counts.of(trade(1)) is cell
    counts.forget(now_ms + 15 * MINUTE_MS + 1)
    again = counts.of(trade(1))
    assert (again.producer, again.totals) == ("one.1", (0, 0, 0))


def test_minute_that_kafka_has_not_all_of_or_was_not_told_of_is_kept():
    counts = Counts("one")
    owed, untold = counts.of(trade(1)), counts.of(trade(1, symbol="ETHUSDT"))
    owed.received += 1
    owed.told(owed.totals)
    untold.received += 1
    counts.forget(START_MS)
    counts.forget(START_MS + 24 * 60 * MINUTE_MS)
    assert counts.of(trade(1)) is owed
    counts.forget(START_MS + 24 * 60 * MINUTE_MS + 1)
    assert counts.of(trade(1)) is not owed
    assert counts.of(trade(1, symbol="ETHUSDT")) is untold

"""The exchange writes before it sends, and sends to subscribers."""

import json

import pytest
from tapeline_simulator.errors import LedgerUnwritable
from tapeline_simulator.exchange import MAX_STALL_MS, Exchange
from tapeline_simulator.frame_sender import DirectSender
from tapeline_simulator.ledger import TAIL_ROWS, encode
from tapeline_simulator.metrics import Metrics

from unit.simulator.factories import BTC, T0, InMemoryLedger, RecordingSubscriber, ScriptedSource, frame, trade


def exchange(source: ScriptedSource, ledger: InMemoryLedger | None = None) -> Exchange:
    return Exchange(source, ledger or InMemoryLedger(), DirectSender(), Metrics())


def test_rows_are_written_before_the_frame_is_sent():
    subscriber = RecordingSubscriber()
    ledger = InMemoryLedger(on_append=lambda: len(subscriber.payloads))
    running = exchange(ScriptedSource([frame(trade(1), trade(2))], [frame(trade(3))]), ledger)
    running.subscribe(BTC, subscriber, T0)
    assert [running.tick(T0 + n, 7) for n in range(2)] == [2, 1]
    assert ledger.observed == [0, 1] and len(subscriber.payloads) == 2
    assert ledger.lines == [encode(BTC, trade(number), 7, 1) for number in (1, 2, 3)]


def test_frame_whose_rows_cannot_be_written_is_not_sent():
    def refuse() -> None:
        raise LedgerUnwritable("ledger", OSError(28, "No space left"))

    running, subscriber = (
        exchange(ScriptedSource([frame(trade(1))]), InMemoryLedger(on_append=refuse)),
        RecordingSubscriber(),
    )
    running.subscribe(BTC, subscriber, T0)
    with pytest.raises(LedgerUnwritable):
        running.tick(T0, 7)
    assert subscriber.payloads == [] and running.recent(BTC, 10) == []


def test_every_subscriber_gets_the_frame_and_the_row_counts_them():
    ledger, subscribers = InMemoryLedger(), [RecordingSubscriber() for _ in range(3)]
    running = exchange(ScriptedSource([frame(trade(1))], [frame(trade(2))]), ledger)
    for subscriber in subscribers:
        running.subscribe(BTC, subscriber, T0)
    running.tick(T0, 7)
    running.unsubscribe(BTC, subscribers[0])
    running.disconnect(subscribers[1])
    running.tick(T0 + 1, 8)
    assert [len(subscriber.payloads) for subscriber in subscribers] == [1, 1, 2]
    assert [json.loads(line)["sockets"] for line in ledger.lines] == [3, 1]


def test_trading_continues_without_subscribers_and_rest_shows_the_trades():
    running, subscriber = exchange(ScriptedSource([frame(trade(1))], [frame(trade(2))])), RecordingSubscriber()
    running.subscribe(BTC, subscriber, T0)
    running.disconnect(subscriber)
    running.tick(T0, 7), running.tick(T0 + 1, 8)
    assert [t.trade_id for t in running.recent(BTC, 10)] == [trade(2).trade_id, trade(1).trade_id]
    assert [t.trade_id for t in running.recent(BTC, 1)] == [trade(2).trade_id]


def test_recent_trades_are_bounded():
    trades = [trade(number) for number in range(TAIL_ROWS + 10)]
    running = exchange(ScriptedSource([frame(*trades)]))
    running.tick(T0, 7)
    assert [t.trade_id for t in running.recent(BTC, 5000)] == [t.trade_id for t in trades[:9:-1]]


def test_only_the_first_subscription_of_a_symbol_reaches_the_source():
    source = ScriptedSource()
    running, subscriber = exchange(source), RecordingSubscriber()
    running.subscribe(BTC, subscriber, T0)
    running.subscribe(BTC, RecordingSubscriber(), T0 + 5)
    running.disconnect(subscriber)
    running.subscribe(BTC, subscriber, T0 + 9)
    assert source.subscribed == [(BTC, T0)]


def test_a_paused_exchange_makes_no_trade_and_resumes_without_backlog():
    source = ScriptedSource([frame(trade(1))], [frame(trade(2))])
    running = exchange(source)
    running.tick(T0, 7)
    running.pause()
    assert running.tick(T0 + 60_000, 8) == 0 and running.status()["state"] == "paused"
    running.resume(T0 + 61_000)
    assert running.tick(T0 + 61_000, 9) == 1 and running.status()["state"] == "running"
    assert source.skipped == [61_000]


def test_a_short_stall_is_caught_up_and_a_long_one_is_skipped():
    source = ScriptedSource()
    running = exchange(source)
    for now_ms in (T0, T0 + MAX_STALL_MS, T0 + 2 * MAX_STALL_MS + 1):
        running.tick(now_ms, 1)
    assert source.skipped == [MAX_STALL_MS + 1]


def test_status_counts_rows_of_earlier_processes():
    ledger = InMemoryLedger()
    ledger.rows = 40
    running = exchange(ScriptedSource([frame(trade(1))]), ledger)
    running.tick(T0, 7)
    assert running.status() == {
        "state": "running",
        "sent": 41,
        "sent_since_start": 1,
        "instruments": ["bybit:spot:BTCUSDT"],
        "trading": [],
        "source": "script",
    }


def test_exchange_on_an_existing_ledger_resumes_the_source_and_shows_recent_trades():
    ledger, source = InMemoryLedger(), ScriptedSource()
    rows = [json.loads(encode(BTC, trade(number), 1, 0)) for number in (1, 2)]
    ledger.last, ledger.recent_rows = rows[-1], {BTC: rows}
    running = exchange(source, ledger)
    assert source.resumed == (rows[-1], {BTC: rows})
    assert running.recent(BTC, 10) == [trade(2, is_rpi=True), trade(1, is_rpi=True)]

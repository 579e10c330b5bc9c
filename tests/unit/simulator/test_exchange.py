"""The exchange writes before it sends, and sends to those who asked."""

import json

import pytest
from tapeline_simulator.errors import LedgerUnwritable
from tapeline_simulator.exchange import LONGEST_STALL_MS, Exchange
from tapeline_simulator.ledger import TAIL_ROWS, encode
from tapeline_simulator.metrics import Metrics
from tapeline_simulator.wire import DirectWire

from unit.simulator.made import BTC, T0, Listener, Notebook, Script, frame, trade


def exchange(source: Script, notebook: Notebook | None = None) -> Exchange:
    return Exchange(source, notebook or Notebook(), DirectWire(), Metrics())


def test_rows_are_written_before_the_frame_is_sent():
    listener = Listener()
    notebook = Notebook(witness=lambda: len(listener.got))
    made = exchange(Script([frame(trade(1), trade(2))], [frame(trade(3))]), notebook)
    made.subscribe(BTC, listener, T0)
    assert [made.tick(T0 + n, 7) for n in range(2)] == [2, 1]
    assert notebook.witnessed == [0, 1] and len(listener.got) == 2
    assert notebook.lines == [encode(BTC, trade(number), 7, 1) for number in (1, 2, 3)]


def test_frame_whose_rows_cannot_be_written_is_not_sent():
    def refuse() -> None:
        raise LedgerUnwritable("ledger", OSError(28, "No space left"))

    made, listener = exchange(Script([frame(trade(1))]), Notebook(witness=refuse)), Listener()
    made.subscribe(BTC, listener, T0)
    with pytest.raises(LedgerUnwritable):
        made.tick(T0, 7)
    assert listener.got == [] and made.recent(BTC, 10) == []


def test_every_subscriber_gets_the_frame_and_the_row_counts_them():
    notebook, listeners = Notebook(), [Listener() for _ in range(3)]
    made = exchange(Script([frame(trade(1))], [frame(trade(2))]), notebook)
    for listener in listeners:
        made.subscribe(BTC, listener, T0)
    made.tick(T0, 7)
    made.unsubscribe(BTC, listeners[0])
    made.leave(listeners[1])
    made.tick(T0 + 1, 8)
    assert [len(listener.got) for listener in listeners] == [1, 1, 2]
    assert [json.loads(line)["sockets"] for line in notebook.lines] == [3, 1]


def test_trades_go_on_without_subscribers_and_are_seen_over_rest():
    made, listener = exchange(Script([frame(trade(1))], [frame(trade(2))])), Listener()
    made.subscribe(BTC, listener, T0)
    made.leave(listener)
    made.tick(T0, 7), made.tick(T0 + 1, 8)
    assert [t.trade_id for t in made.recent(BTC, 10)] == [trade(2).trade_id, trade(1).trade_id]
    assert [t.trade_id for t in made.recent(BTC, 1)] == [trade(2).trade_id]


def test_recent_trades_are_bounded():
    trades = [trade(number) for number in range(TAIL_ROWS + 10)]
    made = exchange(Script([frame(*trades)]))
    made.tick(T0, 7)
    assert [t.trade_id for t in made.recent(BTC, 5000)] == [t.trade_id for t in trades[:9:-1]]


def test_only_the_first_subscription_of_a_symbol_reaches_the_source():
    source = Script()
    made, listener = exchange(source), Listener()
    made.subscribe(BTC, listener, T0)
    made.subscribe(BTC, Listener(), T0 + 5)
    made.leave(listener)
    made.subscribe(BTC, listener, T0 + 9)
    assert source.heard == [(BTC, T0)]


def test_paused_exchange_makes_nothing_and_goes_on_without_piling_up():
    source = Script([frame(trade(1))], [frame(trade(2))])
    made = exchange(source)
    made.tick(T0, 7)
    made.pause()
    assert made.tick(T0 + 60_000, 8) == 0 and made.status()["state"] == "paused"
    made.resume(T0 + 61_000)
    assert made.tick(T0 + 61_000, 9) == 1 and made.status()["state"] == "running"
    assert source.skipped == [61_000]


def test_short_stall_is_caught_up_and_a_long_one_is_skipped():
    source = Script()
    made = exchange(source)
    for now_ms in (T0, T0 + LONGEST_STALL_MS, T0 + 2 * LONGEST_STALL_MS + 1):
        made.tick(now_ms, 1)
    assert source.skipped == [LONGEST_STALL_MS + 1]


def test_status_counts_the_ledger_of_earlier_lives_too():
    notebook = Notebook()
    notebook.rows = 40
    made = exchange(Script([frame(trade(1))]), notebook)
    made.tick(T0, 7)
    assert made.status() == {
        "state": "running",
        "sent": 41,
        "sent_since_start": 1,
        "symbols": [["spot", "BTCUSDT"]],
        "trading": [],
        "source": "script",
    }


def test_exchange_on_an_old_ledger_puts_the_source_behind_it_and_shows_its_tail():
    notebook, source = Notebook(), Script()
    rows = [json.loads(encode(BTC, trade(number), 1, 0)) for number in (1, 2)]
    notebook.last, notebook.tails = rows[-1], {BTC: rows}
    made = exchange(source, notebook)
    assert source.resumed == (rows[-1], {BTC: rows})
    assert made.recent(BTC, 10) == [trade(2, is_rpi=True), trade(1, is_rpi=True)]

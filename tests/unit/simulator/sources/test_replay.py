"""A replay keeps order and pace, starts after subscriptions, and continues after a ledger."""

import json

import pytest
from tapeline_simulator.bybit.frames import encode, instrument_of
from tapeline_simulator.errors import ForeignLedger
from tapeline_simulator.sources.replay import MAX_TRADES_PER_CALL, RecordedFrame, Recording, Replay
from tapeline_simulator.sources.source import ENDED, RUNNING, WAITING

from unit.simulator.factories import BTC, T0, trade

ETH = instrument_of("spot", "ETHUSDT")


def item(offset_ms: float, *numbers: int, instrument=BTC, recorded: bool = False) -> RecordedFrame:
    trades = [trade(number) for number in numbers]
    return RecordedFrame(offset_ms, instrument, trades, encode(instrument, trades, T0) if recorded else None)


def ids(frames) -> list[int]:
    return [int(t.trade_id) - 2290000000000000000 for frame in frames for t in frame.trades]


def replay(*items: RecordedFrame, speed: float = 1.0, grace_ms: float = 10_000) -> Replay:
    return Replay(Recording(items, 0), speed, grace_ms)


def row(number: int, instrument=BTC) -> dict[str, object]:
    return {
        "venue": "bybit",
        "market_type": instrument.market_type,
        "symbol": instrument.symbol,
        "trade_id": trade(number).trade_id,
    }


def test_replay_waits_for_its_last_symbol_and_then_starts_at_once():
    source = replay(item(0, 1), item(100, 2, instrument=ETH))
    source.on_subscribe(BTC, T0)
    assert source.advance(T0 + 5_000) == [] and source.state == WAITING
    source.on_subscribe(ETH, T0 + 6_000)
    assert ids(source.advance(T0 + 6_000)) == [1] and source.state == RUNNING
    assert ids(source.advance(T0 + 6_100)) == [2] and source.state == ENDED


def test_replay_starts_after_the_grace_time_and_skips_unsubscribed_symbols():
    source = replay(item(0, 1, instrument=ETH), item(0, 2), item(50, 3, instrument=ETH))
    source.on_subscribe(BTC, T0)
    assert ids(source.advance(T0 + 9_999)) == []
    assert ids(source.advance(T0 + 10_050)) == [2] and source.state == ENDED


def test_speed_shortens_the_pauses():
    source = replay(item(0, 1), item(1_000, 2), item(2_000, 3), speed=10)
    source.on_subscribe(BTC, T0)
    assert [ids(source.advance(T0 + ms)) for ms in (0, 99, 100, 200)] == [[1], [], [2], [3]]


def test_skipped_time_causes_no_backlog():
    source = replay(item(0, 1), item(1_000, 2))
    source.on_subscribe(BTC, T0)
    source.advance(T0)
    source.skip(60_000)
    assert ids(source.advance(T0 + 60_999)) == [] and ids(source.advance(T0 + 61_000)) == [2]


def test_a_large_backlog_is_returned_in_bounded_parts():
    source = replay(*(item(0, number) for number in range(MAX_TRADES_PER_CALL + 5)))
    source.on_subscribe(BTC, T0)
    assert [len(source.advance(T0)) for _ in range(2)] == [MAX_TRADES_PER_CALL, 5]


def test_recorded_payload_is_sent_untouched():
    payload = b'{"topic":"publicTrade.BTCUSDT","ts":1,"type":"snapshot","data":[]}'
    source = replay(item(0, 1)._replace(payload=payload))
    source.on_subscribe(BTC, T0)
    assert source.advance(T0)[0].payload == payload


def test_a_resumed_replay_continues_after_the_last_row_without_past_pauses():
    source = replay(item(0, 1), item(500, 2), item(90_000, 3), item(90_100, 4))
    source.resume(row(2), {})
    source.on_subscribe(BTC, T0)
    assert ids(source.advance(T0)) == [3] and ids(source.advance(T0 + 100)) == [4]


@pytest.mark.parametrize("recorded", [True, False])
def test_the_remaining_trades_of_a_partly_written_frame_are_sent(recorded):
    source = replay(item(0, 1, 2, 3, recorded=recorded))
    source.resume(row(2), {})
    source.on_subscribe(BTC, T0)
    (frame,) = source.advance(T0)
    assert ids([frame]) == [3]
    assert [fields["i"] for fields in json.loads(frame.payload)["data"]] == [trade(3).trade_id]


def test_a_resumed_replay_after_its_last_frame_has_ended():
    source = replay(item(0, 1))
    source.resume(row(1), {})
    assert source.state == ENDED


def test_flags_of_earlier_trades_are_those_recorded():
    source = replay(RecordedFrame(0, BTC, [trade(1, is_rpi=True, is_block_trade=True)], None), item(1, 2))
    source.resume(row(2), {})
    assert source.is_rpi(BTC, trade(1).trade_id) and source.is_block_trade(BTC, trade(1).trade_id)


def test_ledger_of_another_recording_is_refused_with_a_remedy():
    with pytest.raises(ForeignLedger, match="SIMULATOR_CAPTURE"):
        replay(item(0, 1)).resume(row(9), {})

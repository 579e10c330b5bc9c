"""Frames have the exchange's shape: key order of each category, digits as text, 1024 trades at most."""

import json

from tapeline_simulator.bybit.frames import FrameIndex, TickDirection, encode, instrument_of, split

from unit.simulator.factories import BTC, T0, trade

LINEAR = instrument_of("linear", "BTCUSDT")


def test_spot_frame_equals_a_recorded_one_to_the_byte():
    recorded = (
        '{"topic":"publicTrade.BTCUSDT","ts":1791365009231,"type":"snapshot","data":[{"i":"2290000001225843671",'
        '"T":1791365009230,"p":"83805.1","v":"0.001466","S":"Buy","seq":115058640184,"s":"BTCUSDT","BT":false,'
        '"RPI":false}]}'
    )
    expected = trade(trade_id="2290000001225843671", traded_at=1791365009230, sequence=115058640184)
    assert encode(BTC, [expected], 1791365009231).decode() == recorded


def test_linear_frame_equals_a_recorded_one_to_the_byte():
    recorded = (
        '{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1791365008335,"data":[{"T":1791365008334,'
        '"s":"BTCUSDT","S":"Buy","v":"0.001","p":"83766.30","L":"PlusTick",'
        '"i":"68bc1c35-dcc0-58e8-a4c5-f59a6b790814","BT":false,"RPI":false,"seq":821670598155}]}'
    )
    expected = trade(
        trade_id="68bc1c35-dcc0-58e8-a4c5-f59a6b790814",
        traded_at=1791365008334,
        price="83766.30",
        quantity="0.001",
        sequence=821670598155,
        tick_direction="PlusTick",
    )
    assert encode(LINEAR, [expected], 1791365008335).decode() == recorded


def test_fields_added_in_2025_are_left_out_when_unknown():
    (fields,) = json.loads(encode(BTC, [trade(sequence=None, is_rpi=None)], T0))["data"]
    assert list(fields) == ["i", "T", "p", "v", "S", "s", "BT"]


def test_order_of_2500_fills_becomes_three_frames_of_one_sequence():
    fills = [trade(number, traded_at=T0, sequence=7) for number in range(2500)]
    frames = list(split(BTC, fills, 2))
    decoded = [json.loads(frame.payload) for frame in frames]
    assert [len(frame["data"]) for frame in decoded] == [1024, 1024, 452]
    assert {fields["seq"] for frame in decoded for fields in frame["data"]} == {7}
    assert {frame["ts"] - T0 for frame in decoded} == {2}
    assert [fields["i"] for frame in decoded for fields in frame["data"]] == [fill.trade_id for fill in fills]


def test_tick_direction_follows_the_last_different_price():
    direction = TickDirection()
    names = [direction.next_direction(price) for price in (10, 10, 9, 9, 11, 11, 8)]
    assert names == [
        "PlusTick",
        "ZeroPlusTick",
        "MinusTick",
        "ZeroMinusTick",
        "PlusTick",
        "ZeroPlusTick",
        "MinusTick",
    ]


def test_frame_index_counts_within_one_time_and_sequence():
    index = FrameIndex()
    assert [index.next_index(*place) for place in ((1, 5), (1, 5), (1, 6), (2, 6), (2, 6))] == [0, 1, 0, 0, 1]


def test_inverse_frame_has_the_keys_of_linear():
    inverse = encode(instrument_of("inverse", "BTCUSDT"), [trade(tick_direction="PlusTick", quantity="1500")], T0)
    assert inverse == encode(LINEAR, [trade(tick_direction="PlusTick", quantity="1500")], T0)

"""The synthetic market: deterministic by seed, with the statistics of a market."""

import hashlib
import uuid
from collections import defaultdict
from decimal import Decimal
from itertools import pairwise

import pytest
from tapeline.trade import WireTrade
from tapeline_simulator.bybit.frames import BybitTrade, Instrument, NewerFields, instrument_of
from tapeline_simulator.errors import ForeignLedger
from tapeline_simulator.sources.listing import INVERSE_LISTING, LISTING
from tapeline_simulator.sources.market import SyntheticMarket
from tapeline_simulator.sources.source import RUNNING, WAITING

from unit.simulator.factories import T0

MINUTE_MS = 60_000
ALL_FIELDS = NewerFields()


def market(seed: int = 1, rate_per_s: float = 60.0, newer: NewerFields = ALL_FIELDS) -> SyntheticMarket:
    synthetic = SyntheticMarket(seed, rate_per_s, newer)
    for instrument in synthetic.instruments:
        synthetic.on_subscribe(instrument, T0)
    return synthetic


def by_symbol(frames) -> dict[Instrument, list[BybitTrade]]:
    trades = defaultdict(list)
    for frame in frames:
        trades[frame.instrument].extend(frame.trades)
    return trades


@pytest.fixture(scope="module")
def ten_minutes() -> dict[Instrument, list[BybitTrade]]:
    return by_symbol(market().advance(T0 + 10 * MINUTE_MS))


def digest(frames) -> str:
    return hashlib.sha256(b"".join(frame.payload for frame in frames)).hexdigest()


def test_market_of_one_seed_is_the_same_to_the_byte_and_of_another_is_not():
    first, again, other = (digest(market(seed).advance(T0 + MINUTE_MS)) for seed in (5, 5, 6))
    assert first == again != other


def test_market_is_the_same_in_one_step_and_in_many():
    single, steps = market(), market()
    stepped = [frame for t in range(0, MINUTE_MS + 1, 40) for frame in steps.advance(T0 + t)]
    assert digest(single.advance(T0 + MINUTE_MS)) == digest(stepped)


def test_a_symbol_does_not_trade_before_its_first_subscription():
    synthetic = SyntheticMarket(1, 60, NewerFields())
    assert synthetic.state == WAITING and synthetic.advance(T0 + MINUTE_MS) == []
    synthetic.on_subscribe(instrument_of("spot", "BTCUSDT"), T0 + MINUTE_MS)
    trades = by_symbol(synthetic.advance(T0 + 2 * MINUTE_MS))
    assert synthetic.state == RUNNING and set(trades) == {instrument_of("spot", "BTCUSDT")}
    assert min(trade.traded_at for trade in trades[instrument_of("spot", "BTCUSDT")]) >= T0 + MINUTE_MS


def test_symbol_does_not_depend_on_which_others_trade(ten_minutes):
    alone = SyntheticMarket(1, 60, NewerFields())
    alone.on_subscribe(instrument_of("linear", "SOLUSDT"), T0)
    assert by_symbol(alone.advance(T0 + 10 * MINUTE_MS)) == {
        instrument_of("linear", "SOLUSDT"): ten_minutes[instrument_of("linear", "SOLUSDT")]
    }


def test_mean_rate_equals_the_setting():
    count = sum(len(frame.trades) for frame in market(2, 60).advance(T0 + 15 * MINUTE_MS))
    assert 50 < count / 900 < 70


def test_listing_has_both_market_types_one_shared_symbol_and_quiet_ones(ten_minutes):
    instruments = [instrument_of(row.market_type, row.symbol) for row in LISTING]
    assert len(instruments) == len(set(instruments)) == 16
    assert {instrument_of("spot", "BTCUSDT"), instrument_of("linear", "BTCUSDT")} <= set(instruments)
    assert (
        10
        <= len(ten_minutes[instrument_of("spot", "KSMUSDT")])
        < 100
        < len(ten_minutes[instrument_of("spot", "BTCUSDT")])
    )


def test_every_trade_is_a_legal_record_in_total_order_with_an_identity_of_its_own(ten_minutes):
    for instrument, trades in ten_minutes.items():
        for trade in trades:
            WireTrade(
                venue=instrument.venue,
                market_type=instrument.market_type,
                symbol=instrument.symbol,
                received_at=T0,
                produced_at=T0,
                source="stream",
                quantity_unit="base",
                base_quantity=trade.quantity,
                **{k: v for k, v in trade._asdict().items() if k != "tick_direction"},
            )
        order = [(trade.traded_at, trade.sequence, trade.frame_index) for trade in trades]
        assert order == sorted(set(order))
        assert len({trade.trade_id for trade in trades}) == len(trades)


def test_prices_are_multiples_of_the_tick_and_stay_near_the_opening_price(ten_minutes):
    for row in LISTING:
        for trade in ten_minutes[instrument_of(row.market_type, row.symbol)]:
            assert Decimal(trade.price) % Decimal(row.tick_size) == 0
            assert Decimal(trade.quantity) % Decimal(row.quantity_step) == 0
            assert Decimal(row.price) / 2 <= Decimal(trade.price) <= Decimal(row.price) * 2


def test_ids_are_ascending_numbers_on_spot_and_uuids_on_linear(ten_minutes):
    spot = [int(trade.trade_id) for trade in ten_minutes[instrument_of("spot", "BTCUSDT")]]
    assert spot == sorted(spot) and all(str(number).startswith("2290000000") for number in spot)
    jumps = {after - before for before, after in pairwise(spot)}
    assert 1 in jumps and max(jumps) > 1
    assert {uuid.UUID(trade.trade_id).version for trade in ten_minutes[instrument_of("linear", "BTCUSDT")]} == {5}


def test_sweeps_pass_several_levels_within_one_millisecond():
    frames = market().advance(T0 + 2 * MINUTE_MS)
    assert any(len({trade.price for trade in frame.trades}) > 1 for frame in frames)
    for frame in frames:
        for name in ("side", "traded_at", "sequence"):
            assert len({getattr(trade, name) for trade in frame.trades}) == 1


def test_order_flow_predicts_the_next_price_change_but_not_with_certainty():
    synthetic = SyntheticMarket(4, 60, NewerFields())
    synthetic.on_subscribe(instrument_of("spot", "ETHUSDT"), T0)
    trades = by_symbol(synthetic.advance(T0 + 40 * MINUTE_MS))[instrument_of("spot", "ETHUSDT")]
    correct = evaluated = 0
    for number in range(20, len(trades)):
        before = trades[number - 1]
        if Decimal(trades[number].price) != Decimal(before.price):
            flow = sum(1 if trade.side == "Buy" else -1 for trade in trades[number - 10 : number])
            evaluated += flow != 0
            correct += flow != 0 and (flow > 0) == (Decimal(trades[number].price) > Decimal(before.price))
    assert evaluated > 1000 and 0.55 < correct / evaluated < 0.9


def test_skipped_time_postpones_trades_without_changing_them():
    plain, paused = market(), market()
    paused.skip(7_000)
    moved = paused.advance(T0 + MINUTE_MS + 7_000)
    still = plain.advance(T0 + MINUTE_MS)
    assert [t.price for f in moved for t in f.trades] == [t.price for f in still for t in f.trades]
    assert moved[0].trades[0].traded_at == still[0].trades[0].traded_at + 7_000


def test_market_without_the_newer_fields_leaves_them_out():
    frames = market(newer=NewerFields(sequence=False, rpi=False)).advance(T0 + MINUTE_MS)
    assert not any(b'"seq"' in frame.payload or b'"RPI"' in frame.payload for frame in frames)


def test_a_resumed_market_continues_with_new_ids_later_sequences_and_near_prices():
    first = by_symbol(market().advance(T0 + MINUTE_MS))
    rows = {instrument: [trade._asdict() for trade in trades] for instrument, trades in first.items()}
    second = SyntheticMarket(1, 60, NewerFields())
    second.resume(rows[instrument_of("spot", "BTCUSDT")][-1], rows)
    for instrument in second.instruments:
        second.on_subscribe(instrument, T0)
    later = by_symbol(second.advance(T0 + 2 * MINUTE_MS))
    for instrument in set(first) & set(later):
        last, new = first[instrument][-1], later[instrument][0]
        assert not {t.trade_id for t in first[instrument]} & {t.trade_id for t in later[instrument]}
        assert new.traded_at > last.traded_at and new.sequence > last.sequence
        assert abs(float(new.price) / float(last.price) - 1) < 0.01


def test_ledger_with_a_symbol_that_is_not_listed_is_refused():
    with pytest.raises(ForeignLedger, match="SIMULATOR_LEDGER"):
        SyntheticMarket(1, 60, NewerFields()).resume({}, {instrument_of("spot", "NOPEUSDT"): [{}]})


def test_inverse_is_listed_only_where_it_is_asked_for_and_trades_in_whole_usd():
    assert not any(instrument.market_type == "inverse" for instrument in market().instruments)
    synthetic = SyntheticMarket(1, 60, NewerFields(), INVERSE_LISTING)
    assert [str(instrument) for instrument in synthetic.instruments] == ["bybit:inverse:BTCUSD", "bybit:inverse:ETHUSD"]
    for instrument in synthetic.instruments:
        synthetic.on_subscribe(instrument, T0)
    for instrument, trades in by_symbol(synthetic.advance(T0 + 5 * MINUTE_MS)).items():
        sizes = [int(trade.quantity) for trade in trades]
        assert len(trades) > 100 and min(sizes) >= 1
        row = next(row for row in INVERSE_LISTING if row.symbol == instrument.symbol)
        assert row.notional / 2 < sum(sizes) / len(sizes) < row.notional * 2
        assert {uuid.UUID(trade.trade_id).version for trade in trades} == {5}
        assert all(trade.tick_direction for trade in trades)


def test_market_of_a_seed_stays_what_it_was():
    assert (
        digest(market(5).advance(T0 + MINUTE_MS)) == "74c29d2919a3e1949aa02acd2a0b6d3f423331c3260504f7336c227496cead92"
    )

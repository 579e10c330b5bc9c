import statistics

import pytest
from tapeline.enums import MarketType
from tapeline.instrument import Instrument
from tapeline_board.api.query_params import INSTRUMENTS_MAX, Filters, Span
from tapeline_board.panels import market
from tapeline_board.panels.market import Bucket, MarketBuckets, Part

from unit.board import factories
from unit.board.searches import by_instrument, search

SPAN = Span(factories.START_MS, factories.START_MS + 60_000)


A, B = (Instrument("bybit", MarketType.SPOT, symbol) for symbol in "AB")
LINEAR_A, LINEAR_B = (Instrument("bybit", MarketType.LINEAR, symbol) for symbol in "AB")


def ranked(left_out=0, **market_types):
    rows = {
        name: [{"key": symbol, "doc_count": count} for symbol, count in counts.items()]
        for name, counts in market_types.items()
    }
    return market.parse_ranking({"aggregations": by_instrument("symbols", left_out, bybit=rows)})


def test_the_most_active_are_ranked_over_all_market_types_and_ties_by_name():
    found = ranked(spot={"B": 5, "A": 5}, linear={"B": 9})
    assert found.instruments == (LINEAR_B, A, B)
    assert not found.is_truncated


def test_more_symbols_than_the_limit_set_is_truncated():
    assert ranked(spot={f"S{number:02}": 50 - number for number in range(INSTRUMENTS_MAX)}).is_truncated is False
    many = ranked(spot={f"S{number:02}": 50 - number for number in range(INSTRUMENTS_MAX + 1)})
    assert (len(many.instruments), many.is_truncated) == (INSTRUMENTS_MAX, True)
    assert ranked(4, spot={"A": 1}).is_truncated


def part(count, quantity=0.0, price=None):
    return {"doc_count": count, "quantity": {"value": quantity}, "price": {"values": [{"key": 50.0, "value": price}]}}


def search_response(**symbols):
    rows = [
        {
            "key": factories.START_MS,
            "doc_count": 3,
            "price": {"values": [{"key": 50.0, "value": 10.0}]},
            **{"buy": part(2, 4.0, 9.0), "sell": part(1, 1.5, 11.0)},
            **{"up": part(3, 5.5, 10.0), "down": part(0, 0.0, None)},
            "other": {"doc_count": 0, "quantity": {"value": 0.0}},
        }
    ]
    everything = [{"key": factories.START_MS, "doc_count": 8, "buy": {"doc_count": 6}}]
    shown = {
        market_type: [{"key": symbol, "doc_count": 3, "buckets": {"buckets": rows}} for symbol in names]
        for market_type, names in symbols.items()
    }
    return {"aggregations": {"everything": {"buckets": everything}, **by_instrument("symbols", 0, bybit=shown)}}


def test_a_bucket_holds_each_part_of_its_trades():
    buckets = market.parse_buckets(search_response(spot=["A"]), (A,))
    assert buckets.everything == {factories.START_MS: (8, 6)}
    assert buckets.instruments == {
        A: {
            factories.START_MS: Bucket(
                trades=3,
                price=10.0,
                buy=Part(2, 4.0, 9.0),
                sell=Part(1, 1.5, 11.0),
                up=Part(3, 5.5, 10.0),
                down=Part(0, 0.0, None),
                other=Part(0, 0.0, None),
            )
        }
    }


def test_a_symbol_shown_in_one_market_type_is_not_parsed_from_the_other():
    buckets = market.parse_buckets(search_response(spot=["A"], linear=["A"]), (LINEAR_A,))
    assert list(buckets.instruments) == [LINEAR_A]


def test_trades_of_other_symbols_are_noticed():
    assert market.parse_buckets(search_response(spot=["A"]), (A,)).has_others()
    assert not MarketBuckets({}, {}).has_others()
    assert not market.parse_buckets(search_response(spot=["A", "B"]), (A,)).instruments.get(B)


def test_without_symbols_all_trades_are_still_counted():
    body = market.buckets_request(SPAN, Filters(), 5_000, ()).body
    assert list(body["aggs"]) == ["everything"]
    assert body["aggs"]["everything"]["date_histogram"]["fixed_interval"] == "5000ms"
    assert market.parse_buckets({"hits": {}}, ()) == MarketBuckets({}, {})


def test_only_the_shown_symbols_are_requested():
    body = market.buckets_request(SPAN, Filters(), 5_000, (B, LINEAR_B, A)).body
    terms = body["aggs"]["venues"]["aggs"]["market_types"]["aggs"]["symbols"]["terms"]
    assert (terms["include"], terms["size"]) == (["A", "B"], 2)


EVERY = (factories.ELSEWHERE, factories.INSTRUMENT, factories.LINEAR)
TRADES = factories.tape(list(EVERY), 200, SPAN.from_ms, SPAN.to_ms)


def own(instrument):
    return [one for one in TRADES if factories.fields_of(instrument).items() <= one.items()]


def test_the_same_symbol_at_two_venues_is_ranked_twice():
    ranking = market.parse_ranking(search(market.ranking_request(SPAN, Filters()), *TRADES))
    assert ranking.instruments == EVERY
    filtered = market.ranking_request(SPAN, Filters((factories.INSTRUMENT,)))
    assert market.parse_ranking(search(filtered, *TRADES)).instruments == (factories.INSTRUMENT,)


def test_no_bucket_mixes_the_trades_of_two_venues():
    step_ms = 10_000
    shown = EVERY[:2]
    found = market.parse_buckets(search(market.buckets_request(SPAN, Filters(), step_ms, shown), *TRADES), shown)
    assert set(found.instruments) == set(shown)
    for instrument, buckets in found.instruments.items():
        assert sum(bucket.trades for bucket in buckets.values()) == len(own(instrument)) > 0
        for at, bucket in buckets.items():
            trades = [one for one in own(instrument) if at <= one["traded_at"] < at + step_ms]
            assert bucket.price == statistics.median(float(one["price"]) for one in trades)
            bought = [float(one["base_quantity"]) for one in trades if one["side"] == "Buy"]
            assert (bucket.buy.trades, bucket.buy.quantity) == (len(bought), pytest.approx(sum(bought)))
    assert found.has_others(), "trades of the third instrument"
    assert sum(count for count, _ in found.everything.values()) == len(TRADES)

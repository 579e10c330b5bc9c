from tapeline_board.api.query_params import SYMBOLS_MAX, Filters, Span
from tapeline_board.panels import market
from tapeline_board.panels.market import Bucket, MarketBuckets, Part

from unit.board import factories

SPAN = Span(factories.START_MS, factories.START_MS + 60_000)


def ranked(left_out=0, **market_types):
    buckets = [
        {
            "key": name,
            "symbols": {
                "buckets": [{"key": symbol, "doc_count": count} for symbol, count in rows.items()],
                "sum_other_doc_count": left_out,
            },
        }
        for name, rows in market_types.items()
    ]
    return market.parse_ranking({"aggregations": {"market_types": {"buckets": buckets}}})


def test_the_most_active_are_ranked_over_all_market_types_and_ties_by_name():
    found = ranked(spot={"B": 5, "A": 5}, linear={"B": 9})
    assert found.markets == (("linear", "B"), ("spot", "A"), ("spot", "B"))
    assert not found.is_truncated


def test_more_symbols_than_the_limit_set_is_truncated():
    assert ranked(spot={f"S{number:02}": 50 - number for number in range(SYMBOLS_MAX)}).is_truncated is False
    many = ranked(spot={f"S{number:02}": 50 - number for number in range(SYMBOLS_MAX + 1)})
    assert (len(many.markets), many.is_truncated) == (SYMBOLS_MAX, True)
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
    market_types = [
        {
            "key": market_type,
            "symbols": {
                "buckets": [{"key": symbol, "doc_count": 3, "buckets": {"buckets": rows}} for symbol in names],
                "sum_other_doc_count": 0,
            },
        }
        for market_type, names in symbols.items()
    ]
    return {"aggregations": {"everything": {"buckets": everything}, "market_types": {"buckets": market_types}}}


def test_a_bucket_holds_each_part_of_its_trades():
    buckets = market.parse_buckets(search_response(spot=["A"]), (("spot", "A"),))
    assert buckets.everything == {factories.START_MS: (8, 6)}
    assert buckets.symbols == {
        ("spot", "A"): {
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
    buckets = market.parse_buckets(search_response(spot=["A"], linear=["A"]), (("linear", "A"),))
    assert list(buckets.symbols) == [("linear", "A")]


def test_trades_of_other_symbols_are_noticed():
    assert market.parse_buckets(search_response(spot=["A"]), (("spot", "A"),)).has_others()
    assert not MarketBuckets({}, {}).has_others()
    assert not market.parse_buckets(search_response(spot=["A", "B"]), (("spot", "A"),)).symbols.get(("spot", "B"))


def test_without_symbols_all_trades_are_still_counted():
    body = market.buckets_request(SPAN, Filters(), 5_000, ()).body
    assert list(body["aggs"]) == ["everything"]
    assert body["aggs"]["everything"]["date_histogram"]["fixed_interval"] == "5000ms"
    assert market.parse_buckets({"hits": {}}, ()) == MarketBuckets({}, {})


def test_only_the_shown_symbols_are_requested():
    body = market.buckets_request(SPAN, Filters(), 5_000, (("spot", "B"), ("linear", "B"), ("spot", "A"))).body
    terms = body["aggs"]["market_types"]["aggs"]["symbols"]["terms"]
    assert (terms["include"], terms["size"]) == (["A", "B"], 2)

from tapeline.enums import MarketType
from tapeline_board.api.query_params import Filters, Span
from tapeline_board.panels import tape

from unit.board import factories
from unit.board.searches import search


def tape_of(*numbers, limit=3):
    return tape.tape_response(
        factories.hits(*(factories.trade(number, factories.START_MS + number) for number in numbers)), limit
    )


def ids(response):
    return [row.trade_id for row in response.trades]


def test_one_trade_more_than_the_limit_sets_is_truncated():
    assert (ids(tape_of(5, 4, 3)), tape_of(5, 4, 3).is_truncated) == (["5", "4", "3"], False)
    assert (ids(tape_of(5, 4, 3, 2)), tape_of(5, 4, 3, 2).is_truncated) == (["5", "4", "3"], True)
    assert tape.tape_request(Filters(), None, 3).body["size"] == 4


def test_a_delta_has_the_trades_that_are_new_late_ones_too():
    delta = tape.new_trades(tape_of(6, 4), tape_of(7, 6, 5, 4))
    assert delta is not None
    assert (ids(delta), delta.is_snapshot, delta.is_truncated) == (["7", "5"], False, False)


def test_without_new_trades_there_is_no_delta():
    assert tape.new_trades(tape_of(6, 4), tape_of(6, 4)) is None
    assert tape.new_trades(tape_of(), tape_of()) is None


def test_a_delta_without_a_known_trade_is_truncated():
    delta = tape.new_trades(tape_of(3, 2, 1), tape_of(9, 8, 7, 6))
    assert delta is not None
    assert (ids(delta), delta.is_truncated) == (["9", "8", "7"], True)
    first = tape.new_trades(tape_of(), tape_of(2, 1))
    assert first is not None
    assert not first.is_truncated


def test_the_same_id_in_another_market_type_is_another_trade():
    linear = factories.hits(factories.trade(6, factories.START_MS, market_type="linear"))
    delta = tape.new_trades(tape_of(6), tape.tape_response(linear))
    assert delta is not None
    assert [row.market_type for row in delta.trades] == ["linear"]


def test_the_same_id_at_another_venue_is_another_trade():
    elsewhere = factories.hits(factories.trade(6, factories.START_MS, venue="other"))
    delta = tape.new_trades(tape_of(6), tape.tape_response(elsewhere))
    assert delta is not None
    assert [row.instrument for row in delta.trades] == [factories.ELSEWHERE]


def test_the_tape_of_an_instrument_has_no_trades_of_the_same_symbol_elsewhere():
    every = [factories.INSTRUMENT, factories.ELSEWHERE, factories.LINEAR]
    trades = factories.tape(every, 60, factories.START_MS, factories.START_MS + 60_000)
    for instrument in every:
        response = tape.tape_response(search(tape.tape_request(Filters((instrument,)), None, 60), *trades), 60)
        assert {row.instrument for row in response.trades} == {instrument}
    everything = tape.tape_response(search(tape.tape_request(Filters(), None, 60), *trades), 60)
    assert {row.instrument for row in everything.trades} == set(every)


def test_a_time_range_is_requested_only_where_one_is_given():
    assert tape.tape_request(Filters(market_type=MarketType.SPOT), None).body["query"] == {
        "bool": {"filter": [{"term": {"market_type": "spot"}}]}
    }
    span = Span(factories.START_MS, factories.START_MS + 1)
    assert span.clause() in tape.tape_request(Filters(), span).body["query"]["bool"]["filter"]

from tapeline_board.api.query_params import Filters, Span
from tapeline_board.panels import tape

from unit.board import made


def told(*numbers, limit=3):
    return tape.answer(made.hits(*(made.trade(number, made.START_MS + number) for number in numbers)), limit)


def ids(answer):
    return [row.trade_id for row in answer.trades]


def test_one_trade_more_than_asked_for_says_that_there_are_others():
    assert (ids(told(5, 4, 3)), told(5, 4, 3).is_cut) == (["5", "4", "3"], False)
    assert (ids(told(5, 4, 3, 2)), told(5, 4, 3, 2).is_cut) == (["5", "4", "3"], True)
    assert tape.question(Filters(), None, 3).body["size"] == 4


def test_news_are_what_was_not_there_before_late_ones_too():
    news = tape.news(told(6, 4), told(7, 6, 5, 4))
    assert news is not None
    assert (ids(news), news.is_whole, news.is_cut) == (["7", "5"], False, False)


def test_nothing_new_is_no_news():
    assert tape.news(told(6, 4), told(6, 4)) is None
    assert tape.news(told(), told()) is None


def test_news_that_hold_nothing_known_may_lack_some():
    news = tape.news(told(3, 2, 1), told(9, 8, 7, 6))
    assert news is not None
    assert (ids(news), news.is_cut) == (["9", "8", "7"], True)
    first = tape.news(told(), told(2, 1))
    assert first is not None
    assert not first.is_cut


def test_the_same_id_in_another_market_is_another_trade():
    linear = made.hits(made.trade(6, made.START_MS, market_type="linear"))
    news = tape.news(told(6), tape.answer(linear))
    assert news is not None
    assert [row.market_type for row in news.trades] == ["linear"]


def test_a_time_is_asked_for_only_where_one_is_given():
    assert tape.question(Filters("spot"), None).body["query"] == {
        "bool": {"filter": [{"term": {"market_type": "spot"}}]}
    }
    span = Span(made.START_MS, made.START_MS + 1)
    assert span.clause() in tape.question(Filters(), span).body["query"]["bool"]["filter"]

import pytest
from tapeline_producer.connection.subscriptions import Subscriptions
from tapeline_producer.errors import AckMissingError
from tapeline_producer.exchange.bybit.messages import Ack

ACK_S, RETRY_S = 10.0, 60.0


def opened(*symbols: str, market_type: str = "spot", unlisted: dict[str, str] | None = None) -> Subscriptions:
    one = Subscriptions(market_type, ACK_S, RETRY_S)
    one.add(symbols, unlisted or {}, 0.0)
    one.opened(0.0)
    return one


def asked(one: Subscriptions, now: float) -> list[tuple[str, ...]]:
    return [tuple(t.removeprefix("publicTrade.") for t in request.topics) for request in one.due(now)]


def test_eleven_spot_symbols_are_asked_for_in_two_requests_and_wait_until_both_are_answered() -> None:
    one = opened(*(f"S{n}" for n in range(11)))
    first, second = one.due(0.0)
    assert (len(first.topics), len(second.topics)) == (10, 1)
    one.answered(Ack(second.req_id, True, ""), 0.1)
    assert one.waiting == [f"S{n}" for n in range(10)]
    assert one.answered(Ack(first.req_id, True, "subscribe"), 0.1) == ([f"S{n}" for n in range(10)], {})
    assert one.waiting == []


@pytest.mark.parametrize("text", ["Invalid symbol :[publicTrade.B]", "error:handler not found,topic:publicTrade.B"])
def test_named_topic_is_taken_out_and_the_rest_asked_for_again(text: str) -> None:
    one = opened("A", "B", "C")
    (request,) = one.due(0.0)
    assert one.answered(Ack(request.req_id, False, text), 0.1) == ([], {"B": text})
    assert asked(one, 0.1) == [("A", "C")]
    assert (one.waiting, one.refused) == (["A", "C"], {"B": text})


def test_refusal_that_names_no_topic_splits_the_request_into_single_ones() -> None:
    one = opened("A", "B", market_type="linear")
    (request,) = one.due(0.0)
    assert one.answered(Ack(request.req_id, False, "Params Error"), 0.1) == ([], {})
    single = one.due(0.1)
    assert [r.topics for r in single] == [("publicTrade.A",), ("publicTrade.B",)]
    assert one.answered(Ack(single[0].req_id, False, "Params Error"), 0.2) == ([], {"A": "Params Error"})


def test_already_subscribed_counts_as_success_and_its_neighbours_are_asked_for_again() -> None:
    one = opened("A", "B", market_type="linear")
    (request,) = one.due(0.0)
    text = "error:already subscribed,topic:publicTrade.A"
    assert one.answered(Ack(request.req_id, False, text), 0.1) == (["A"], {})
    assert asked(one, 0.1) == [("B",)]


def test_answer_without_a_number_is_matched_by_the_topic_it_names() -> None:
    one = opened(*(f"S{n}" for n in range(20)))
    one.due(0.0)
    _, refused = one.answered(Ack("", False, "Invalid symbol :[publicTrade.S15]"), 0.1)
    assert list(refused) == ["S15"]
    assert len(asked(one, 0.1)[0]) == 9


def test_answer_to_an_unknown_request_changes_nothing() -> None:
    one = opened("A")
    one.due(0.0)
    assert one.answered(Ack("77", True, ""), 0.1) == ([], {})
    assert one.waiting == ["A"]


def test_missing_answer_is_asked_for_once_more_and_then_ends_the_connection() -> None:
    one = opened("A")
    one.due(0.0)
    assert asked(one, ACK_S + 0.1) == [("A",)]
    with pytest.raises(AckMissingError, match=r"publicTrade\.A"):
        one.due(2 * ACK_S + 0.3)


def test_refused_topic_is_asked_for_alone_after_a_minute_and_reported_only_once() -> None:
    one = opened("A", "B")
    (request,) = one.due(0.0)
    one.answered(Ack(request.req_id, False, "Invalid symbol :[publicTrade.B]"), 0.0)
    (rest,) = one.due(0.0)
    one.answered(Ack(rest.req_id, True, ""), 0.1)
    assert one.due(RETRY_S - 1) == []
    (again,) = one.due(RETRY_S)
    assert again.topics == ("publicTrade.B",)
    assert one.answered(Ack(again.req_id, False, "Invalid symbol :[publicTrade.B]"), RETRY_S) == ([], {})
    (later,) = one.due(2 * RETRY_S)
    assert one.answered(Ack(later.req_id, True, ""), 2 * RETRY_S) == (["B"], {})
    assert one.refused == {}


def test_unlisted_symbol_is_refused_from_the_start_and_tried_later() -> None:
    one = opened("A", unlisted={"NOPE": "not listed"})
    assert asked(one, 0.0) == [("A",)]
    assert one.refused == {"NOPE": "not listed"}
    assert ("NOPE",) in asked(one, RETRY_S)


def test_new_connection_asks_for_everything_again_but_not_for_what_was_refused() -> None:
    one = opened("A", "B")
    (request,) = one.due(0.0)
    one.answered(Ack(request.req_id, False, "Invalid symbol :[publicTrade.B]"), 0.0)
    one.opened(5.0)
    assert asked(one, 5.0) == [("A",)]


def confirmed(*symbols: str) -> Subscriptions:
    one = opened(*symbols)
    for request in one.due(0.0):
        one.answered(Ack(request.req_id, True, ""), 0.1)
    return one


def wishes(one: Subscriptions, now: float) -> list[tuple[str, str]]:
    return [
        (request.operation, topic.removeprefix("publicTrade.")) for request in one.due(now) for topic in request.topics
    ]


def test_symbol_added_on_an_open_connection_is_asked_for_alone() -> None:
    one = confirmed("A")
    one.add(["B"], {}, 1.0)
    assert (one.waiting, wishes(one, 1.0)) == (["B"], [("subscribe", "B")])


def test_symbol_removed_is_unsubscribed_and_what_still_comes_of_it_is_readable_but_not_followed() -> None:
    one = confirmed("A", "B")
    one.remove(["B"])
    assert wishes(one, 1.0) == [("unsubscribe", "B")]
    assert (one.symbols, one.readable) == ({"A"}, {"A", "B"})
    assert one.is_followed("A") and not one.is_followed("B") and not one.is_answered("B")
    one.opened(2.0)
    assert one.readable == {"A"}


def test_symbol_that_was_never_asked_for_is_removed_without_a_word() -> None:
    one = opened("A", "B")
    one.remove(["B"])
    assert asked(one, 0.0) == [("A",)]


def test_symbol_removed_before_its_answer_is_not_confirmed_by_it() -> None:
    one = opened("A", "B")
    (request,) = one.due(0.0)
    one.remove(["B"])
    assert one.answered(Ack(request.req_id, True, ""), 0.1) == (["A"], {})
    assert wishes(one, 0.2) == [("unsubscribe", "B")]


def test_symbol_removed_and_added_again_waits_for_the_second_answer() -> None:
    """Between the two no trade comes, so the first answer must not count as the beginning."""
    one = opened("A")
    (first,) = one.due(0.0)
    one.remove(["A"])
    one.add(["A"], {}, 0.1)
    end, again = one.due(0.1)
    assert (end.operation, again.operation) == ("unsubscribe", "subscribe")
    assert one.answered(Ack(first.req_id, True, ""), 0.2) == ([], {})
    assert one.answered(Ack(end.req_id, True, ""), 0.2) == ([], {})
    assert one.answered(Ack(again.req_id, True, ""), 0.2) == (["A"], {})


def test_request_without_an_answer_is_repeated_only_for_what_is_still_followed() -> None:
    one = opened("A", "B")
    one.due(0.0)
    one.remove(["B"])
    one.due(0.1)
    assert ("subscribe", "A") in wishes(one, ACK_S + 0.05)


def test_unsubscribing_that_is_refused_as_a_whole_is_tried_topic_by_topic() -> None:
    one = confirmed("A", "B", "C")
    one.remove(["A", "B"])
    (request,) = one.due(1.0)
    one.answered(Ack(request.req_id, False, "error:handler not found,topic:publicTrade.A"), 1.1)
    assert wishes(one, 1.2) == [("unsubscribe", "A"), ("unsubscribe", "B")]


def test_nothing_counts_as_answered_on_a_connection_that_is_gone() -> None:
    one = confirmed("A")
    assert one.is_answered("A")
    one.closed()
    assert not one.is_answered("A")

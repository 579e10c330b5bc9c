import pytest
from tapeline.enums import MarketType
from tapeline_producer.connection.subscriptions import Subscriptions
from tapeline_producer.errors import AckMissingError
from tapeline_producer.exchange.bybit.messages import Ack

ACK_S, RETRY_S = 10.0, 60.0


def opened(
    *symbols: str, market_type: MarketType = MarketType.SPOT, unlisted: dict[str, str] | None = None
) -> Subscriptions:
    one = Subscriptions(market_type, ACK_S, RETRY_S)
    one.add(symbols, unlisted or {}, 0.0)
    one.on_open(0.0)
    return one


def requested(one: Subscriptions, now: float) -> list[tuple[str, ...]]:
    return [tuple(t.removeprefix("publicTrade.") for t in request.topics) for request in one.due_requests(now)]


def test_eleven_spot_symbols_take_two_requests_and_wait_for_both_acks() -> None:
    one = opened(*(f"S{n}" for n in range(11)))
    first, second = one.due_requests(0.0)
    assert (len(first.topics), len(second.topics)) == (10, 1)
    one.on_ack(Ack(second.req_id, True, ""), 0.1)
    assert one.unacknowledged == [f"S{n}" for n in range(10)]
    assert one.on_ack(Ack(first.req_id, True, "subscribe"), 0.1) == ([f"S{n}" for n in range(10)], {})
    assert one.unacknowledged == []


@pytest.mark.parametrize("text", ["Invalid symbol :[publicTrade.B]", "error:handler not found,topic:publicTrade.B"])
def test_named_topic_is_refused_and_the_rest_requested_again(text: str) -> None:
    one = opened("A", "B", "C")
    (request,) = one.due_requests(0.0)
    assert one.on_ack(Ack(request.req_id, False, text), 0.1) == ([], {"B": text})
    assert requested(one, 0.1) == [("A", "C")]
    assert (one.unacknowledged, one.refused) == (["A", "C"], {"B": text})


def test_refusal_that_names_no_topic_splits_the_request_into_single_ones() -> None:
    one = opened("A", "B", market_type=MarketType.LINEAR)
    (request,) = one.due_requests(0.0)
    assert one.on_ack(Ack(request.req_id, False, "Params Error"), 0.1) == ([], {})
    single = one.due_requests(0.1)
    assert [r.topics for r in single] == [("publicTrade.A",), ("publicTrade.B",)]
    assert one.on_ack(Ack(single[0].req_id, False, "Params Error"), 0.2) == ([], {"A": "Params Error"})


def test_already_subscribed_counts_as_success_and_the_rest_is_requested_again() -> None:
    one = opened("A", "B", market_type=MarketType.LINEAR)
    (request,) = one.due_requests(0.0)
    text = "error:already subscribed,topic:publicTrade.A"
    assert one.on_ack(Ack(request.req_id, False, text), 0.1) == (["A"], {})
    assert requested(one, 0.1) == [("B",)]


def test_ack_without_a_number_is_matched_by_its_topic() -> None:
    one = opened(*(f"S{n}" for n in range(20)))
    one.due_requests(0.0)
    _, refused = one.on_ack(Ack("", False, "Invalid symbol :[publicTrade.S15]"), 0.1)
    assert list(refused) == ["S15"]
    assert len(requested(one, 0.1)[0]) == 9


def test_ack_of_an_unknown_request_is_ignored() -> None:
    one = opened("A")
    one.due_requests(0.0)
    assert one.on_ack(Ack("77", True, ""), 0.1) == ([], {})
    assert one.unacknowledged == ["A"]


def test_missing_ack_is_retried_once_and_then_ends_the_connection() -> None:
    one = opened("A")
    one.due_requests(0.0)
    assert requested(one, ACK_S + 0.1) == [("A",)]
    with pytest.raises(AckMissingError, match=r"publicTrade\.A"):
        one.due_requests(2 * ACK_S + 0.3)


def test_refused_topic_is_retried_alone_after_a_minute_and_reported_only_once() -> None:
    one = opened("A", "B")
    (request,) = one.due_requests(0.0)
    one.on_ack(Ack(request.req_id, False, "Invalid symbol :[publicTrade.B]"), 0.0)
    (rest,) = one.due_requests(0.0)
    one.on_ack(Ack(rest.req_id, True, ""), 0.1)
    assert one.due_requests(RETRY_S - 1) == []
    (again,) = one.due_requests(RETRY_S)
    assert again.topics == ("publicTrade.B",)
    assert one.on_ack(Ack(again.req_id, False, "Invalid symbol :[publicTrade.B]"), RETRY_S) == ([], {})
    (later,) = one.due_requests(2 * RETRY_S)
    assert one.on_ack(Ack(later.req_id, True, ""), 2 * RETRY_S) == (["B"], {})
    assert one.refused == {}


def test_unlisted_symbol_is_refused_from_the_start_and_retried_later() -> None:
    one = opened("A", unlisted={"NOPE": "not listed"})
    assert requested(one, 0.0) == [("A",)]
    assert one.refused == {"NOPE": "not listed"}
    assert ("NOPE",) in requested(one, RETRY_S)


def test_new_connection_requests_all_topics_except_the_refused_ones() -> None:
    one = opened("A", "B")
    (request,) = one.due_requests(0.0)
    one.on_ack(Ack(request.req_id, False, "Invalid symbol :[publicTrade.B]"), 0.0)
    one.on_open(5.0)
    assert requested(one, 5.0) == [("A",)]


def confirmed(*symbols: str) -> Subscriptions:
    one = opened(*symbols)
    for request in one.due_requests(0.0):
        one.on_ack(Ack(request.req_id, True, ""), 0.1)
    return one


def queued_requests(one: Subscriptions, now: float) -> list[tuple[str, str]]:
    due = one.due_requests(now)
    return [(request.operation, topic.removeprefix("publicTrade.")) for request in due for topic in request.topics]


def test_symbol_added_on_an_open_connection_is_requested_alone() -> None:
    one = confirmed("A")
    one.add(["B"], {}, 1.0)
    assert (one.unacknowledged, queued_requests(one, 1.0)) == (["B"], [("subscribe", "B")])


def test_removed_symbol_is_unsubscribed_and_its_late_trades_are_expected_but_not_wanted() -> None:
    one = confirmed("A", "B")
    one.remove(["B"])
    assert queued_requests(one, 1.0) == [("unsubscribe", "B")]
    assert (one.symbols, one.expected) == ({"A"}, {"A", "B"})
    assert one.is_wanted("A") and not one.is_wanted("B") and not one.is_acknowledged("B")
    one.on_open(2.0)
    assert one.expected == {"A"}


def test_symbol_that_was_never_requested_is_removed_without_a_request() -> None:
    one = opened("A", "B")
    one.remove(["B"])
    assert requested(one, 0.0) == [("A",)]


def test_symbol_removed_before_its_ack_is_not_confirmed_by_it() -> None:
    one = opened("A", "B")
    (request,) = one.due_requests(0.0)
    one.remove(["B"])
    assert one.on_ack(Ack(request.req_id, True, ""), 0.1) == (["A"], {})
    assert queued_requests(one, 0.2) == [("unsubscribe", "B")]


def test_symbol_removed_and_added_again_waits_for_the_second_ack() -> None:
    """No trade arrives between the two, so the first ack must not confirm the subscription."""
    one = opened("A")
    (first,) = one.due_requests(0.0)
    one.remove(["A"])
    one.add(["A"], {}, 0.1)
    end, again = one.due_requests(0.1)
    assert (end.operation, again.operation) == ("unsubscribe", "subscribe")
    assert one.on_ack(Ack(first.req_id, True, ""), 0.2) == ([], {})
    assert one.on_ack(Ack(end.req_id, True, ""), 0.2) == ([], {})
    assert one.on_ack(Ack(again.req_id, True, ""), 0.2) == (["A"], {})


def test_request_without_an_ack_is_repeated_only_for_wanted_symbols() -> None:
    one = opened("A", "B")
    one.due_requests(0.0)
    one.remove(["B"])
    one.due_requests(0.1)
    assert ("subscribe", "A") in queued_requests(one, ACK_S + 0.05)


def test_unsubscribe_request_refused_as_a_whole_is_retried_topic_by_topic() -> None:
    one = confirmed("A", "B", "C")
    one.remove(["A", "B"])
    (request,) = one.due_requests(1.0)
    one.on_ack(Ack(request.req_id, False, "error:handler not found,topic:publicTrade.A"), 1.1)
    assert queued_requests(one, 1.2) == [("unsubscribe", "A"), ("unsubscribe", "B")]


def test_nothing_is_acknowledged_on_a_closed_connection() -> None:
    one = confirmed("A")
    assert one.is_acknowledged("A")
    one.on_close()
    assert not one.is_acknowledged("A")

import pytest
from tapeline_producer.bybit import Ack
from tapeline_producer.errors import AckMissingError
from tapeline_producer.subscription import Subscriptions

ACK_S, RETRY_S = 10.0, 60.0


def opened(*symbols: str, category: str = "spot", unlisted: dict[str, str] | None = None) -> Subscriptions:
    one = Subscriptions(category, symbols, unlisted or {}, ACK_S, RETRY_S)
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
    one = opened("A", "B", category="linear")
    (request,) = one.due(0.0)
    assert one.answered(Ack(request.req_id, False, "Params Error"), 0.1) == ([], {})
    single = one.due(0.1)
    assert [r.topics for r in single] == [("publicTrade.A",), ("publicTrade.B",)]
    assert one.answered(Ack(single[0].req_id, False, "Params Error"), 0.2) == ([], {"A": "Params Error"})


def test_already_subscribed_counts_as_success_and_its_neighbours_are_asked_for_again() -> None:
    one = opened("A", "B", category="linear")
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

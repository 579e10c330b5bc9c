from tapeline_producer.metrics import Metrics
from tapeline_producer.readiness import EXCHANGE, GROUP, KAFKA, Status

NOTHING = {"partitions": [], "symbols": 0}


def status(metrics: Metrics | None = None) -> Status:
    one = Status(metrics or Metrics())
    one.expect("spot-1", "spot")
    one.expect("linear-1", "linear")
    one.hold(KAFKA)
    return one


def test_service_is_ready_only_when_every_connection_is() -> None:
    one = status()
    one.report("spot-1", None, {})
    assert not one.ready()[0]
    one.report("linear-1", None, {})
    assert one.ready()[0]
    one.report("spot-1", "gone", {})
    assert one.ready()[1]["waiting_for"] == {EXCHANGE: "spot-1: gone"}


def test_refused_topics_stand_by_name_in_the_answer_and_in_the_metrics() -> None:
    metrics = Metrics()
    one = status(metrics)
    one.report("spot-1", None, {"NOPE": "Invalid symbol"})
    one.report("linear-1", None, {})
    assert one.ready() == (True, {"ready": True, "waiting_for": {}, "refused": {"spot NOPE": "Invalid symbol"}})
    assert b'tapeline_refused_topic_info{market_type="spot",symbol="NOPE"} 1.0' in metrics.page()[0]
    one.report("spot-1", None, {})
    assert b"NOPE" not in metrics.page()[0]


def test_replica_that_owns_nothing_is_ready_and_says_so() -> None:
    one = Status(Metrics(), in_group=True)
    one.hold(KAFKA)
    one.expect_symbols(0)
    assert one.ready()[1]["waiting_for"] == {GROUP: "not yet"}
    one.hold(GROUP)
    assert one.ready() == (True, {"ready": True, "waiting_for": {}, "refused": {}, "owns": NOTHING})


def test_replica_says_which_shares_it_owns() -> None:
    one = Status(Metrics(), in_group=True)
    one.own({5, 3}, 7)
    assert one.ready()[1]["owns"] == {"partitions": [3, 5], "symbols": 7}


def test_connection_that_is_closed_for_good_is_no_longer_waited_for() -> None:
    one = status()
    one.report("spot-1", "gone", {"NOPE": "Invalid symbol"})
    one.report("linear-1", None, {})
    one.dismiss("spot-1")
    assert one.ready() == (True, {"ready": True, "waiting_for": {}, "refused": {}})


def test_symbols_that_are_on_no_connection_yet_are_waited_for() -> None:
    one = status()
    one.report("spot-1", None, {})
    one.report("linear-1", None, {})
    one.expect_symbols(3)
    assert one.ready()[1]["waiting_for"] == {EXCHANGE: "selection: 3 symbols are to be followed"}
    one.expect_symbols(0)
    assert one.ready()[0]

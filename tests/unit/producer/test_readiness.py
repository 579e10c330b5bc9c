from tapeline.enums import MarketType
from tapeline.instrument import Instrument
from tapeline_producer.metrics import Metrics
from tapeline_producer.readiness import EXCHANGE, GROUP, KAFKA, Readiness

NOPE = Instrument("bybit", MarketType.SPOT, "NOPE")
NOTHING = {"shards": [], "symbols": 0}


def readiness(metrics: Metrics | None = None) -> Readiness:
    one = Readiness(metrics or Metrics())
    one.add_connection("spot-1", MarketType.SPOT)
    one.add_connection("linear-1", MarketType.LINEAR)
    one.set_ready(KAFKA)
    return one


def test_service_is_ready_only_when_every_connection_is() -> None:
    one = readiness()
    one.report_connection("spot-1", None, {})
    assert not one.ready()[0]
    one.report_connection("linear-1", None, {})
    assert one.ready()[0]
    one.report_connection("spot-1", "gone", {})
    assert one.ready()[1]["waiting_for"] == {EXCHANGE: "spot-1: gone"}


def test_refused_topics_are_named_in_the_response_and_in_the_metrics() -> None:
    metrics = Metrics()
    one = readiness(metrics)
    one.report_connection("spot-1", None, {NOPE: "Invalid symbol"})
    one.report_connection("linear-1", None, {})
    assert one.ready() == (True, {"ready": True, "waiting_for": {}, "refused": {"bybit:spot:NOPE": "Invalid symbol"}})
    assert b'tapeline_refused_topic_info{market_type="spot",symbol="NOPE"} 1.0' in metrics.render()[0]
    one.report_connection("spot-1", None, {})
    assert b"NOPE" not in metrics.render()[0]


def test_replica_that_owns_nothing_is_ready_and_reports_it() -> None:
    one = Readiness(Metrics(), in_group=True)
    one.set_ready(KAFKA)
    one.set_unsubscribed_symbols(0)
    assert one.ready()[1]["waiting_for"] == {GROUP: "not yet"}
    one.set_ready(GROUP)
    assert one.ready() == (True, {"ready": True, "waiting_for": {}, "refused": {}, "owns": NOTHING})


def test_replica_reports_which_shards_it_owns() -> None:
    one = Readiness(Metrics(), in_group=True)
    one.set_owned({5, 3}, 7)
    assert one.ready()[1]["owns"] == {"shards": [3, 5], "symbols": 7}


def test_removed_connection_is_no_longer_waited_for() -> None:
    one = readiness()
    one.report_connection("spot-1", "gone", {NOPE: "Invalid symbol"})
    one.report_connection("linear-1", None, {})
    one.remove_connection("spot-1")
    assert one.ready() == (True, {"ready": True, "waiting_for": {}, "refused": {}})


def test_symbols_that_are_on_no_connection_yet_are_waited_for() -> None:
    one = readiness()
    one.report_connection("spot-1", None, {})
    one.report_connection("linear-1", None, {})
    one.set_unsubscribed_symbols(3)
    assert one.ready()[1]["waiting_for"] == {EXCHANGE: "selection: 3 symbols are not subscribed yet"}
    one.set_unsubscribed_symbols(0)
    assert one.ready()[0]

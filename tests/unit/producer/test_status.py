from tapeline_producer.metrics import Metrics
from tapeline_producer.status import EXCHANGE, KAFKA, Status


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
    assert b'tapeline_refused_topic_info{category="spot",symbol="NOPE"} 1.0' in metrics.page()[0]
    one.report("spot-1", None, {})
    assert b"NOPE" not in metrics.page()[0]

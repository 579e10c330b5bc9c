import contextlib

import pytest
from tapeline_inference import errors, metrics
from tapeline_trainer.rollout import health
from tapeline_trainer.rollout.health import ReplicaCounters
from tapeline_trainer.settings import Settings

SETTINGS = Settings(watch_error_share=0.05, watch_minimum_requests=20)


def test_page_of_the_real_service_is_read() -> None:
    """Two services use the same metric names."""
    metrics.MODEL.clear()
    metrics.MODEL.labels("d" * 64, "forest", "1", "1").set(1)
    before = health.parse_metrics(metrics.exposition()[0].decode())
    metrics.REQUESTS.labels("arrow", "ok").inc(7)
    metrics.REQUESTS.labels("json", "ok").inc(2)
    metrics.REQUESTS.labels("arrow", "model_unavailable").inc(3)
    metrics.REQUESTS.labels("arrow", "invalid_rows").inc(5)
    after = health.parse_metrics(metrics.exposition()[0].decode())
    assert after.digest == "d" * 64
    assert (after.succeeded - before.succeeded, after.failed - before.failed) == (9, 3)
    metrics.MODEL.clear()
    assert health.parse_metrics(metrics.exposition()[0].decode()).digest is None


def test_every_fault_is_an_outcome_that_the_service_knows() -> None:
    def below(kind: type[errors.ApiError]) -> set[str]:
        return {kind.code}.union(*(below(sub) for sub in kind.__subclasses__()))

    known = below(errors.ApiError)
    assert known >= health.SERVER_FAULTS
    server_side = {kind.code for kind in errors.ApiError.__subclasses__() if kind.status >= 500}
    assert server_side <= health.SERVER_FAULTS


@pytest.mark.parametrize("text", ["<html>", "a b c d e", 'tapeline_model_info{digest="', "\x00"])
def test_page_of_something_else_is_an_error_or_says_nothing(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert health.parse_metrics(text) == ReplicaCounters(None, 0, 0)


@pytest.mark.parametrize(
    ("succeeded", "failed", "is_unhealthy"),
    [(19, 1, False), (95, 5, False), (94, 6, True), (0, 19, False), (0, 20, True), (0, 0, False)],
)
def test_share_of_failures_counts_from_enough_requests_on(succeeded: int, failed: int, is_unhealthy: bool) -> None:
    sample = health.check("d", ReplicaCounters("d", succeeded, failed), "d", SETTINGS)
    assert (sample.problem is not None, sample.is_fatal) == (is_unhealthy, is_unhealthy)


@pytest.mark.parametrize(("served", "seen"), [("old", "d"), ("d", "old"), ("d", None), (None, "d")])
def test_another_model_is_wrong_but_may_pass(served: str | None, seen: str | None) -> None:
    sample = health.check(served, ReplicaCounters(seen, 0, 999), "d", SETTINGS)
    assert sample.problem is not None and not sample.is_fatal

import pytest
from pydantic import ValidationError
from tapeline_local.stack.options import (
    MAX_PRODUCERS,
    PARTS,
    StackOptions,
    dependencies_of,
    enabled_parts,
    in_start_order,
    kind_of,
    start_timeout_s,
)


def test_parts_start_in_one_order_however_they_are_named():
    assert in_start_order(("producer", "elasticsearch", "kafka")) == ("kafka", "elasticsearch", "producer")


def test_an_unknown_part_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"\['kibana'\]; known are .*'kafka'"):
        in_start_order(("kafka", "kibana"))


def test_nothing_is_needed_that_was_not_chosen():
    assert dependencies_of("producer", ("kafka", "producer")) == ("kafka",)


def test_every_part_can_be_reached_from_the_start():
    ready: set[str] = set()
    for part in PARTS:
        assert ready.issuperset(dependencies_of(part, PARTS))
        ready.add(part)


def test_an_environment_for_an_unknown_part_is_refused():
    with pytest.raises(ValidationError, match="kibana"):
        StackOptions(extra_env={"kibana": {}})


def test_replicas_of_the_producer_are_parts_of_their_own_after_it():
    assert in_start_order(("producer", "kafka"), 3) == ("kafka", "producer", "producer-2", "producer-3")
    assert in_start_order(("kafka",), 3) == ("kafka",)


def test_parts_of_a_running_stack_are_the_same_when_it_is_loaded_again():
    parts = in_start_order(PARTS, 3)
    assert in_start_order(parts, 3) == parts


def test_replica_is_a_producer_and_needs_what_one_needs():
    assert kind_of("producer-2") == kind_of(f"producer-{MAX_PRODUCERS}") == "producer"
    assert dependencies_of("producer-2", PARTS) == dependencies_of("producer", PARTS)
    assert start_timeout_s("producer-2") == start_timeout_s("producer")


@pytest.mark.parametrize("part", ["producer-1", "producer-17", "producer-x", "spark-2"])
def test_what_is_no_replica_is_no_part(part):
    with pytest.raises(ValueError, match=part):
        in_start_order((part,))


def test_disabled_parts_are_left_out():
    assert enabled_parts(("kafka", "notifier", "simulator"), StackOptions()) == ("kafka", "simulator")
    options = StackOptions(exchange="bybit", notifier_targets="targets.yaml")
    assert enabled_parts(("kafka", "notifier", "simulator"), options) == ("kafka", "notifier")


def test_server_that_runs_already_is_no_part():
    options = StackOptions(existing={"kafka": 19_092})
    assert enabled_parts(("kafka", "elasticsearch", "spark"), options) == ("elasticsearch", "spark")


def test_only_a_server_can_run_already():
    with pytest.raises(ValidationError, match="'kafka' or 'elasticsearch'"):
        StackOptions(existing={"spark": 19_092})

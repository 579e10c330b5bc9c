import pytest
from pydantic import ValidationError
from tapeline_local.options import PARTS, StackOptions, in_start_order, needed_first


def test_parts_start_in_one_order_however_they_are_named():
    assert in_start_order(("producer", "elasticsearch", "kafka")) == ("kafka", "elasticsearch", "producer")


def test_an_unknown_part_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"\['kibana'\]; known are .*'kafka'"):
        in_start_order(("kafka", "kibana"))


def test_nothing_is_needed_that_was_not_chosen():
    assert needed_first("producer", ("kafka", "producer")) == ("kafka",)


def test_every_part_can_be_reached_from_the_start():
    ready: set[str] = set()
    for part in PARTS:
        assert ready.issuperset(needed_first(part, PARTS))
        ready.add(part)


def test_an_environment_for_an_unknown_part_is_refused():
    with pytest.raises(ValidationError, match="kibana"):
        StackOptions(extra_env={"kibana": {}})
